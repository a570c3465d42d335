// worker/jobs/job_json.h: a job as JSON, to whoever asks for it and whoever is told of its end.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "worker/jobs/job.h"

namespace worker::jobs {

[[nodiscard]] std::string_view state_name(State state) noexcept;
[[nodiscard]] std::optional<State> state_named(std::string_view name) noexcept;
[[nodiscard]] std::string_view ending_name(Ending ending) noexcept;

/// As RFC 3339, in UTC, with milliseconds.
[[nodiscard]] std::string print_moment(UnixMs ms);

/// `path`: where names of jobs follow, with a slash at its end; empty: it is not told where its result is.
[[nodiscard]] nlohmann::ordered_json job_json(const View& job, std::string_view path);

}  // namespace worker::jobs
