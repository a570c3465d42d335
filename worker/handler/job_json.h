// worker/handler/job_json.h: jobs and queues as JSON.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "conf/config.h"
#include "worker/jobs/job_json.h"
#include "worker/jobs/operations.h"

namespace worker::handler {

using jobs::ending_name;
using jobs::job_json;
using jobs::print_moment;
using jobs::state_name;
using jobs::state_named;

/// Where names of jobs follow: the route's path, with a slash at its end.
[[nodiscard]] std::string jobs_path_of(const conf::Route& route);

/// `configured`: it has a section, so its jobs run.
[[nodiscard]] nlohmann::ordered_json queue_json(const jobs::Stats::Queue& queue, bool configured,
                                                jobs::UnixMs now);

}  // namespace worker::handler
