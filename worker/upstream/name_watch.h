// worker/upstream/name_watch.h: resolves a name again and again, and tells all workers what comes of it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "worker/execution/loop.h"
#include "worker/upstream/health_watch.h"
#include "worker/upstream/resolution.h"

namespace worker::upstream {

/// One peer of one upstream that is a name. It is asked for at once, then when the answer's TTL is over, or
/// up to a tenth earlier; after a failure earlier, and less and less often. The last good answer stays until
/// there is another; one without addresses is none. Loop thread only.
class NameWatch final : private Resolver {
 public:
    static constexpr std::uint64_t retry_first_ms = 500, retry_last_ms = 30'000;

    struct Surroundings {
        const conf::Upstream& upstream;
        const conf::UpstreamPeer& peer;
        DnsChannel& channel;
        execution::Loop& loop;
        ipc::Scoreboard& board;
        std::uint32_t cell;  ///< of the name in the board
        HealthRight right;   ///< to resolve
    };

    /// All outlive it. `on_change`: what `places` says is another; it is called from the loop.
    NameWatch(const Surroundings& around, std::function<void()> on_change);

    /// The right was got, or is still there. It stops by itself when that is lost.
    void begin();
    /// There is an answer, or why there is none: it makes no sense to wait for more.
    [[nodiscard]] bool settled() const noexcept { return settled_; }
    /// Who stands where; `peers_max` of them.
    [[nodiscard]] const std::vector<ipc::NameAddress>& places() const noexcept { return places_; }
    [[nodiscard]] const conf::UpstreamPeer& peer() const noexcept { return around_.peer; }

 private:
    void on_time(short what);
    void on_resolved(const Resolved& resolved) override;
    void fail(const Resolved& resolved, std::uint64_t now_ms);
    void take(const Resolved& resolved, std::uint64_t now_ms);
    void load();
    void store(const std::vector<ipc::NameAddress>& places);
    void plan(std::uint64_t now_ms, std::uint64_t after_ms);
    [[nodiscard]] ipc::NameCell& cell() const { return around_.board.name_cell(around_.cell); }

    Surroundings around_;
    std::function<void()> on_change_;
    std::vector<ipc::NameAddress> places_;
    std::array<std::uint32_t, ipc::NameCell::places_max> board_places_{};  ///< 0: it is none there
    Resolution resolution_;
    std::minstd_rand random_{std::random_device{}()};
    std::string told_;            ///< the failure that was logged last; empty: none since it went well
    std::size_t left_over_ = 0;   ///< logged last
    std::uint64_t retry_ms_ = 0;  ///< after the next failure
    std::uint64_t version_ = 0;   ///< of the cell, as we have written or read it
    bool watching_ = false, settled_ = false;
    ipc::Event timer_;
};

}  // namespace worker::upstream
