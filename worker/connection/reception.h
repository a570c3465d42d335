// worker/connection/reception.h: where accepted connections go, and how many a process may have.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/unique_fd.h"
#include "worker/connection/peer.h"
#include "worker/execution/loop.h"

namespace worker::connection {

/// Whoever takes connections from an acceptor: a loop's own connections, or somebody who hands them on.
class Reception {
 public:
    virtual ~Reception() = default;
    /// Counts and takes it, or refuses it. Thread of `loop` only, as all here.
    virtual void open(ipc::UniqueFd socket, const Peer& peer, std::uint32_t address) = 0;
    /// False: all are behind; what waits should stay in the kernel's queue for a moment.
    [[nodiscard]] virtual bool has_room() const { return true; }
    [[nodiscard]] virtual execution::Loop& loop() noexcept = 0;
};

/// The connections of a process, over all its loops. Any thread.
class Census {
 public:
    /// How many connections there may be, and beyond that to whom.
    struct Room {
        std::uint64_t max = 0;     ///< 0: any number
        std::vector<bool> spared;  ///< by address: those that get `spared_max` more
        static constexpr std::uint64_t spared_max = 64;
    };
    explicit Census(Room room) noexcept : room_(std::move(room)) {}

    /// False: there are as many as there may be. Each that enters owes a `leave`.
    [[nodiscard]] bool enter(std::uint32_t address) noexcept {
        const std::uint64_t before = open_.fetch_add(1, std::memory_order_relaxed);
        if (before < room_.max || room_.max == 0) return true;
        if (before < room_.max + Room::spared_max && address < room_.spared.size() && room_.spared[address])
            return true;
        leave();
        return false;
    }
    void leave() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t open() const noexcept { return open_.load(std::memory_order_relaxed); }
    /// A number that no other connection of this process has had.
    [[nodiscard]] std::uint64_t next_id() noexcept {
        return ids_.fetch_add(1, std::memory_order_relaxed) + 1;
    }

 private:
    const Room room_;
    std::atomic<std::uint64_t> open_{0}, ids_{0};
};

/// A whole answer for those whom nobody has time for.
inline constexpr std::string_view busy =
    "HTTP/1.1 503 Service Unavailable\r\nServer: reeve\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
    "Connection: close\r\n\r\n";

/// Sends `busy`, best effort, to a client of whom nothing is awaited; reads what it has said already, so that
/// closing does not reset the answer away. The caller closes.
void turn_away(const ipc::UniqueFd& socket) noexcept;

}  // namespace worker::connection
