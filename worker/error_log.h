// worker/error_log.h: a worker's error log as its configuration wants it.
#pragma once

#include <cstdint>
#include <string>

#include "conf/config.h"
#include "ipc/log.h"

namespace worker {

[[nodiscard]] inline std::string worker_role(std::uint32_t slot) { return "worker/" + std::to_string(slot); }

/// `role` is in every line; `descriptor`: opened by the master; a copy is kept.
[[nodiscard]] inline ipc::Result<void> open_error_log(const conf::Reeve& reeve, const std::string& role,
                                                      int descriptor) {
    const ipc::LogPlan plan{reeve.error_log.path, static_cast<int>(reeve.error_log.level),
                            reeve.error_log_format == conf::LogFormat::json};
    return ipc::open_log(plan, role, descriptor);
}

}  // namespace worker
