// worker/jobs/unix_clock.h: the clock that jobs are due by, which an administrator may set.
#pragma once

#include <chrono>

#include "worker/jobs/job.h"

namespace worker::jobs {

[[nodiscard]] inline UnixMs unix_ms() noexcept {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace worker::jobs
