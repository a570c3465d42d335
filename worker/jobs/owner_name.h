// worker/jobs/owner_name.h: what a keeper is called as the owner of jobs that run.
#pragma once

#include <string>

namespace worker::jobs {

/// This process, and no other one on any boot of any machine: "BOOT:PID:START".
[[nodiscard]] std::string owner_name();

}  // namespace worker::jobs
