// worker/upstream/health_watch.h: checks a peer again and again, and tells all workers what comes of it.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/health.h"
#include "worker/execution/loop.h"
#include "worker/upstream/health_check.h"
#include "worker/upstream/health_count.h"

namespace worker::upstream {

/// Whether this process is the one that checks.
struct HealthRight {
    ipc::HealthLease& lease;
    std::uint32_t term;

    [[nodiscard]] bool held() const noexcept { return lease.held_by(term); }
};

/// One peer of one upstream. The first check comes within a tenth of `every`, a second at most, the next ones
/// `every` after the last began or up to a tenth earlier, so that peers are not asked in step. Loop thread
/// only.
class HealthWatch final : private Checker {
 public:
    /// All outlive it. Peers keep the state that `cell` has until checks say otherwise.
    HealthWatch(const conf::Upstream& upstream, const conf::UpstreamPeer& peer, execution::Loop& loop,
                ipc::HealthCell& cell, HealthRight right);

    /// The right was got. It stops by itself when that is lost.
    void begin();

 private:
    void on_time(short what);
    void on_finding(const Finding& finding) override;
    void tell(ipc::Health before, const Finding& finding) const;
    void tell_own(const Finding& finding, std::uint64_t now_ms);
    [[nodiscard]] std::uint64_t random_below(std::uint64_t limit) {
        return limit == 0 ? 0 : random_() % limit;
    }

    const conf::Upstream& upstream_;
    std::string name_;  ///< of the peer
    execution::Loop& loop_;
    ipc::HealthCell& cell_;
    HealthRight right_;
    HealthCount count_;
    std::minstd_rand random_{std::random_device{}()};
    HealthCheck check_;
    std::uint64_t next_ms_ = 0;      ///< when the next check is due
    std::uint64_t own_told_ms_ = 0;  ///< when it was last logged that we could not check; 0: never
    bool watching_ = false;
    ipc::Event timer_;
};

}  // namespace worker::upstream
