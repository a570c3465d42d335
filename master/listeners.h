// master/listeners.h: the addresses of one generation, bound or refused as one.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ipc/result.h"
#include "ipc/seat.h"
#include "ipc/seat_transfer.h"
#include "master/listener.h"

namespace master {

/// What a generation listens on. Addresses that an earlier generation has too are shared with it.
class Listeners {
 public:
    struct Entry {
        std::shared_ptr<Listener> listener;
        conf::Listen plan;
        Layout sockets;
        bool one = false;  ///< for all who accept

        /// Whether each who accepts has a socket, and so a queue, of its own.
        [[nodiscard]] bool has_queues() const noexcept { return !listener->single() && !one; }
        [[nodiscard]] const SocketPtr& socket(std::uint32_t queue) const noexcept {
            return sockets[has_queues() ? queue : 0];
        }
    };

    /// Index i of `plan` is address i everywhere. Takes up what `before` has of the same address; when one
    /// of the others cannot be bound, none is. Nothing that is new listens yet.
    [[nodiscard]] static ipc::Result<Listeners> bind(const std::vector<conf::Listen>& plan, Sharing sharing,
                                                     std::uint32_t queues, const Listeners& before);

    Listeners() = default;
    /// Of sockets that somebody else bound: what a generation takes up as `before`.
    explicit Listeners(std::vector<Entry> entries) : entries_(std::move(entries)) {}

    [[nodiscard]] const std::vector<Entry>& all() const noexcept { return entries_; }
    /// All sockets listen from now on.
    [[nodiscard]] ipc::Result<void> listen();
    /// `live[queue]`: whether new connections may go there.
    [[nodiscard]] ipc::Result<void> steer(const std::vector<bool>& live);
    /// Addresses that `next` does not have take up no more connections; see `Listener::deafen`.
    void leave_to(const Listeners& next) noexcept;
    /// Ours are gone then; a worker's copies live on until it closes them, and so do other generations'.
    void close() noexcept { entries_.clear(); }

    /// Whether the names of Unix sockets are ours to remove in the end, or another master's.
    void keep_files(bool ours) noexcept {
        for (auto& entry : entries_) entry.listener->keep_file(ours);
    }

    /// A socket that still listens though no slot has it any more.
    struct Retired {
        std::uint32_t address = 0;
        SocketPtr socket;
    };
    [[nodiscard]] std::vector<Retired> retired() const;

    /// What a worker in `slot` gets, which has so many loops that accept. To be called in the child: the
    /// descriptors become the seat's.
    [[nodiscard]] std::vector<ipc::SeatListener> for_seat(std::uint32_t slot, std::uint32_t loops = 1) const;
    /// The same, to be sent to it.
    [[nodiscard]] std::vector<ipc::SeatPart> parts_of_seat(std::uint32_t slot, std::uint32_t loops) const;

 private:
    std::vector<Entry> entries_;
};

}  // namespace master
