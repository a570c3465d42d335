// worker/dispatch/distributor.h: `accept = handoff`: each connection becomes one of several loops' for good.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "conf/config.h"
#include "worker/connection/connections.h"
#include "worker/execution/mailbox.h"

namespace worker::dispatch {

/// A loop that connections can be given to, seen from another thread.
struct LoopDoor {
    execution::Mailbox& mailbox;
    const ipc::LoopCell& cell;             ///< what it counts
    connection::Connections* connections;  ///< touched by what is posted, and by nobody else
};

/// Whether a loop turns, by its heartbeat; `now_ms` of CLOCK_MONOTONIC.
[[nodiscard]] bool moves(const ipc::LoopCell& cell, std::uint64_t now_ms);

/// Of the loop that accepts; thread of that. Loops that are frozen, or have not taken yet what they were
/// given, are passed over.
class Distributor final : public connection::Reception {
 public:
    /// All must outlive it; what was posted and never run, `census` hears nothing of.
    Distributor(execution::Loop& loop, conf::Handoff how, std::vector<LoopDoor> doors);

    void open(ipc::UniqueFd socket, const connection::Peer& peer, std::uint32_t address) override;
    [[nodiscard]] bool has_room() const override;
    [[nodiscard]] execution::Loop& loop() noexcept override { return loop_; }

 private:
    [[nodiscard]] std::size_t choose();
    [[nodiscard]] bool takes(std::size_t door) const;

    execution::Loop& loop_;
    const conf::Handoff how_;
    std::vector<LoopDoor> doors_;
    /// Given and not taken yet; shared with what was posted, which may outlive us.
    std::vector<std::shared_ptr<std::atomic<std::uint32_t>>> under_way_;
    std::size_t last_ = 0;
};

}  // namespace worker::dispatch
