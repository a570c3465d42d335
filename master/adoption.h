// master/adoption.h: finds a worker for every queue that its own worker does not read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ipc/scoreboard.h"
#include "master/listeners.h"
#include "master/slot.h"

namespace master {

/// Two kinds of queues: those of slots whose worker is stuck, dead or slow to start, until it is back; and
/// those of sockets that no slot has any more, until they are empty and can be closed.
/// A sibling that takes from a queue is told `Adopt`, and `Release` when it shall stop.
class Adoption {
 public:
    using Slots = std::vector<std::unique_ptr<Slot>>;

    /// How long a socket that connections are steered away from stays open: handshakes begun before end
    /// there.
    static constexpr std::uint64_t retire_ms = 2000;

    /// All outlive this.
    /// `queues`: of each slot.
    Adoption(Listeners& listeners, const ipc::Scoreboard& board, std::uint32_t queues = 1)
        : listeners_(listeners), board_(board), queues_(queues) {}

    /// The generation serves from now on: what its predecessor leaves over is to be emptied.
    void begin(std::uint64_t now);
    /// To be called when a slot's state has changed, and now and then. Times: CLOCK_MONOTONIC.
    void settle(const Slots& slots, std::uint64_t now);
    /// That slot's process is another one now: it has adopted nothing.
    void forget(std::uint32_t slot, const Slots& slots);
    /// That slot's queues are read by its own worker again.
    void give_back(Slot& slot, const Slots& slots) const;
    /// While another master may still use them, sockets without a slot are emptied, but not closed.
    void hold(bool held) noexcept { held_ = held; }
    /// Nobody is steered, adopted or closed by us any more.
    void end() { orphans_.clear(); }

 private:
    /// A socket that no slot has.
    struct Orphan {
        std::uint32_t queue;  ///< how workers know it
        Listeners::Retired retired;
        std::uint64_t since_ms;
        std::optional<std::uint32_t> adopter;
    };

    void settle_slot(Slot& slot, const Slots& slots, std::uint64_t now);
    /// False once the socket is closed.
    bool settle_orphan(Orphan& orphan, const Slots& slots, std::uint64_t now);
    [[nodiscard]] static bool needs_adopter(const Slot& slot, std::uint64_t now);
    [[nodiscard]] std::optional<std::uint32_t> least_loaded(const Slots& slots, const Slot* except) const;

    Listeners& listeners_;
    const ipc::Scoreboard& board_;
    const std::uint32_t queues_;
    std::vector<Orphan> orphans_;
    std::uint32_t next_queue_ = 1u << 16;  ///< below are slots
    bool held_ = false;
};

}  // namespace master
