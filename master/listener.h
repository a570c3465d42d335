// master/listener.h: one address and the sockets bound to it, for as long as any generation serves it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "master/unix_socket.h"

namespace master {

/// A bound socket. Generations share it, so that what waits in its queue outlives any worker and any reload.
struct ListenSocket {
    ipc::UniqueFd fd;
    bool blocking = false;      ///< whether accept4() on it waits: see `ipc::SeatListener`
    std::uint32_t backlog = 0;  ///< as last given to listen(); 0: it does not listen yet

    [[nodiscard]] bool listening() const noexcept { return backlog != 0; }
};
using SocketPtr = std::shared_ptr<ListenSocket>;

/// How the sockets of an address are spread over those who accept.
struct Sharing {
    /// With `shared` all have one that blocks; otherwise each has its own.
    Sharing(conf::Accept accept) noexcept  // NOLINT(google-explicit-constructor): the one is the other
        : one(accept == conf::Accept::shared), blocking(one) {}
    /// All have one that does not block: they wait for several at once.
    [[nodiscard]] static Sharing polled() noexcept {
        Sharing sharing(conf::Accept::shared);
        sharing.blocking = false;
        return sharing;
    }
    bool one, blocking;
};

/// A generation's sockets of one address: one for each who accepts, or one for all.
using Layout = std::vector<SocketPtr>;

/// With `reuseport` a TCP address has one socket a slot; otherwise, and for Unix sockets and those that came
/// from a service manager, one for all.
class Listener {
 public:
    /// Fails if another program listens there, also one of the same user that uses SO_REUSEPORT.
    [[nodiscard]] static ipc::Result<void> check_free(const conf::Address& address);
    /// Binds nothing yet, but for a Unix socket.
    [[nodiscard]] static ipc::Result<std::shared_ptr<Listener>> make(const conf::Listen& plan,
                                                                     Sharing sharing);
    /// Of sockets that somebody else bound and that listen, in the order in which they began to.
    /// `single`: the address cannot have more of them.
    [[nodiscard]] static std::shared_ptr<Listener> inherit(const conf::Address& requested,
                                                           std::vector<SocketPtr> sockets,
                                                           std::optional<UnixSocket> file, bool single);

    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// As configured, and as bound: a port of 0 has become the one that the kernel chose.
    [[nodiscard]] const conf::Address& requested() const noexcept { return requested_; }
    [[nodiscard]] const conf::Address& address() const noexcept { return address_; }

    /// The sockets for a generation: those of `before` that fit, spare ones, and new ones, bound but not
    /// listening. What nobody takes up in the end is simply dropped.
    [[nodiscard]] ipc::Result<Layout> lay_out(Sharing sharing, std::uint32_t queues, const Layout& before);

    /// From now on the socket listens, or listens with another backlog.
    [[nodiscard]] ipc::Result<void> listen(const SocketPtr& socket, std::uint32_t backlog);
    /// New connections go to these only. When these are all, or none, the kernel hashes.
    [[nodiscard]] ipc::Result<void> steer(const std::vector<const ListenSocket*>& live);
    /// New connections are no longer taken up: their first packets go unheard, so that a client which tries
    /// again finds whoever has the address then, or nobody. What waits in the queues can be emptied now
    /// without more coming in, and then nothing is reset by closing. For every process that has them.
    void deafen() noexcept;
    /// Undoes that: whoever has deafened them is gone, and we serve again.
    void listen_again() noexcept;
    /// Ends a socket that connections are steered away from; for every process that has it. Its queue
    /// should be empty: what waits there is reset.
    [[nodiscard]] ipc::Result<void> close(const SocketPtr& socket);

    /// Connections that wait for an accept; none where the kernel does not tell.
    [[nodiscard]] std::optional<std::uint32_t> pending() const;
    [[nodiscard]] static std::optional<std::uint32_t> pending(const ListenSocket& socket);
    /// The sockets that listen, in the kernel's order.
    [[nodiscard]] const std::vector<SocketPtr>& group() const noexcept { return group_; }
    /// Whether there can only be one socket.
    [[nodiscard]] bool single() const noexcept { return single_; }
    /// Whether the name of a Unix socket is ours to remove in the end, or another master's.
    void keep_file(bool ours) noexcept;

 private:
    Listener(conf::Address requested, bool single)
        : requested_(requested), address_(std::move(requested)), single_(single) {}
    [[nodiscard]] ipc::Result<SocketPtr> bind(bool blocking);
    [[nodiscard]] ipc::Result<void> attach(std::vector<std::uint32_t> chosen);

    conf::Address requested_, address_;
    bool single_;
    std::optional<UnixSocket> file_;         ///< the name in the file system; its socket is `only_`'s
    SocketPtr only_;                         ///< when there can be but one
    std::vector<SocketPtr> group_;           ///< in the order of listen()
    std::vector<std::uint32_t> steered_to_;  ///< indices into `group_`; empty: the kernel hashes
    std::vector<const ListenSocket*> live_;  ///< as last told
};

}  // namespace master
