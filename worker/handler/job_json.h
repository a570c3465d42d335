// worker/handler/job_json.h: jobs and queues as JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "conf/config.h"
#include "worker/jobs/operations.h"

namespace worker::handler {

[[nodiscard]] std::string_view state_name(jobs::State state) noexcept;
[[nodiscard]] std::optional<jobs::State> state_named(std::string_view name) noexcept;
[[nodiscard]] std::string_view ending_name(jobs::Ending ending) noexcept;

/// Where names of jobs follow: the route's path, with a slash at its end.
[[nodiscard]] std::string jobs_path_of(const conf::Route& route);

/// `path` as above; empty: it is not told where its result is.
[[nodiscard]] nlohmann::ordered_json job_json(const jobs::View& job, std::string_view path);
/// `configured`: it has a section, so its jobs run.
[[nodiscard]] nlohmann::ordered_json queue_json(const jobs::Stats::Queue& queue, bool configured,
                                                jobs::UnixMs now);

}  // namespace worker::handler
