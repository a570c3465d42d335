// worker/handler/schedule_json.h: schedules as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "conf/schedule.h"
#include "worker/jobs/job.h"

namespace worker::handler {

/// `last`, `next`: when a run was and is due; 0: none is known.
[[nodiscard]] nlohmann::ordered_json schedule_json(const conf::Schedule& schedule, jobs::UnixMs last,
                                                   jobs::UnixMs next);

}  // namespace worker::handler
