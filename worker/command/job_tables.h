// worker/command/job_tables.h: jobs and queues for people.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "conf/schedule.h"
#include "worker/jobs/operations.h"

namespace worker::command {

/// A line each, with a head; what strangers wrote is cut, and does a terminal no harm. `now`: to say how long
/// ago.
[[nodiscard]] std::string jobs_table(std::span<const jobs::View> jobs, jobs::UnixMs now);
/// All that is known of one.
[[nodiscard]] std::string job_text(const jobs::View& job, jobs::UnixMs now);
[[nodiscard]] std::string queues_table(std::span<const jobs::Stats::Queue> queues, jobs::UnixMs now);

/// A schedule, when its last run was due and when the next one is; 0: none.
struct ScheduleLine {
    const conf::Schedule* schedule = nullptr;
    jobs::UnixMs last = 0, next = 0;
};
[[nodiscard]] std::string schedules_table(std::span<const ScheduleLine> lines, jobs::UnixMs now);

/// "850ms", "12s", "3m", "5h", "2d": cut, never more than it was.
[[nodiscard]] std::string span_text(jobs::UnixMs ms);
/// "12", "3.4k", "1.2m", "5.0g".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

}  // namespace worker::command
