// worker/jobs/strays.h: jobs in the store of queues that nobody configures any more: they stay, and it is
// said.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "conf/config.h"
#include "ipc/jobs_cells.h"
#include "worker/jobs/operations.h"

namespace worker::jobs {

/// Loop thread only.
class Strays {
 public:
    /// Both must outlive it.
    Strays(const conf::Config& config, ipc::JobsCell& cell) : config_(config), cell_(cell) {}

    /// Warns of each such queue that has jobs which are not over, once until it has none.
    void look(const Stats& stats);
    /// Jobs of all queues that were not over then.
    [[nodiscard]] std::uint64_t waiting() const noexcept { return waiting_; }

 private:
    const conf::Config& config_;
    ipc::JobsCell& cell_;
    std::uint64_t waiting_ = 0;
    std::set<std::string> told_;
};

}  // namespace worker::jobs
