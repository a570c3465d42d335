// worker/upstream/connection.h: one connection to a peer, under way or idle.
#pragma once

#include <event2/event_struct.h>

#include <cstdint>
#include <memory>

#include "worker/connection/output.h"
#include "worker/connection/transport.h"
#include "worker/execution/deadlines.h"
#include "worker/execution/loop.h"
#include "worker/upstream/peer.h"

namespace worker::upstream {

class Upstream;

/// Who uses a connection.
class User {
 public:
    virtual ~User() = default;
    /// Something may be possible now that was not. The connection may be gone when this returns.
    virtual void on_io() noexcept = 0;
};

struct IdleOfPeer : execution::Link {};
struct IdleOfUpstream : execution::Link {};

/// Owned by its user, or by its upstream while it is idle. Events are edges: what they said holds until a
/// call contradicts it. Loop thread only.
class Connection final : private execution::Deadline, public IdleOfPeer, public IdleOfUpstream {
 public:
    /// Begins to connect. Null with errno set: that failed at once.
    [[nodiscard]] static std::unique_ptr<Connection> open(Upstream& owner, Peer& peer, execution::Loop& loop);
    Connection(Upstream& owner, Peer& peer, execution::Loop& loop, ipc::UniqueFd socket);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() override;

    void use(User* user) noexcept { user_ = user; }
    /// While it connects: 0 when it is done, else errno; EINPROGRESS: not yet.
    [[nodiscard]] int connected() noexcept;
    void idle_for(std::uint64_t ms) { loop_.arm(*this, ms); }
    void in_use() noexcept { disarm(); }
    /// Tells the kernel to wake us when it takes more: the first time that it did not take all.
    void watch_writable();
    void unwatch_writable() noexcept;
    /// Its user goes on in the next turn.
    void yield() noexcept;

    [[nodiscard]] Peer& peer() noexcept { return peer_; }
    /// Its peer is still the one that it leads to.
    [[nodiscard]] bool current() const noexcept { return epoch_ == peer_.epoch; }

    connection::Transport transport;
    connection::Output output;
    std::uint64_t sent = 0;
    std::uint64_t requests = 0;  ///< carried, with the one under way
    bool connecting = true;
    bool readable = false, writable = false;
    bool ending = false;  ///< the end of the stream is behind what can be read

 private:
    static void on_event(evutil_socket_t, short what, void* self) noexcept;
    void on_deadline() noexcept override;

    Upstream& owner_;
    Peer& peer_;
    std::uint32_t epoch_;
    execution::Loop& loop_;
    User* user_ = nullptr;
    event event_{};
    std::unique_ptr<event> writable_event_;
    bool later_ = false;  ///< goes on in the next turn
};

}  // namespace worker::upstream
