// master/listener.h: one address of the configuration and the sockets bound to it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "conf/config.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "master/unix_socket.h"

namespace master {

/// Bound at start, listening once a worker is READY. The sockets are the master's for the life of the
/// address, so that what waits in a queue outlives any worker.
/// With `reuseport` a TCP address has one socket a slot; otherwise, and for Unix sockets, one for all.
class Listener {
 public:
    /// Fails if another program listens there, also one of the same user that uses SO_REUSEPORT.
    [[nodiscard]] static ipc::Result<void> check_free(const conf::Listen& plan);
    [[nodiscard]] static ipc::Result<Listener> bind(const conf::Listen& plan, conf::Accept accept,
                                                    std::uint32_t slots);

    /// The address as bound: a port of 0 has become the one that the kernel chose.
    [[nodiscard]] const conf::Listen& plan() const noexcept { return plan_; }
    /// Whether each slot has a socket, and so a queue, of its own.
    [[nodiscard]] bool per_slot() const noexcept { return !unix_ && accept_ == conf::Accept::reuseport; }
    /// Whether accept4() on the sockets waits: see `ipc::SeatListener`.
    [[nodiscard]] bool blocking() const noexcept { return accept_ == conf::Accept::shared; }
    [[nodiscard]] int socket_of(std::uint32_t slot) const noexcept;
    [[nodiscard]] bool listening(std::uint32_t slot) const noexcept;

    /// The slot's worker can serve. The first time this makes its socket listen; later it does nothing.
    [[nodiscard]] ipc::Result<void> listen(std::uint32_t slot);
    /// `live[slot]`: whether new connections may go to that slot. When all may, or none, the kernel hashes.
    [[nodiscard]] ipc::Result<void> steer(const std::vector<bool>& live);

    /// Connections that wait for an accept, over all sockets; none where the kernel does not tell.
    [[nodiscard]] std::optional<std::uint32_t> pending() const;
    /// Slots that listen, in the order of the group.
    [[nodiscard]] const std::vector<std::uint32_t>& group() const noexcept { return group_; }

 private:
    Listener(const conf::Listen& plan, conf::Accept accept) : plan_(plan), accept_(accept) {}

    conf::Listen plan_;
    conf::Accept accept_;
    std::vector<ipc::UniqueFd> sockets_;  ///< a slot each, or one for all
    std::optional<UnixSocket> unix_;
    std::vector<std::uint32_t> group_;       ///< slots in the order of listen()
    std::vector<std::uint32_t> steered_to_;  ///< indices into `group_`; empty: the kernel hashes
};

}  // namespace master
