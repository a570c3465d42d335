#include "worker/upstream/connection.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "worker/upstream/upstream.h"

namespace worker::upstream {

std::unique_ptr<Connection> Connection::open(Upstream& owner, Peer& peer, execution::Loop& loop) {
    ipc::UniqueFd socket(::socket(peer.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return nullptr;
    if (peer.address.ss_family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const auto* address = reinterpret_cast<const sockaddr*>(&peer.address);
    const bool done = ::connect(socket.get(), address, peer.address_size) == 0;
    if (!done && errno != EINPROGRESS) return nullptr;  // a Unix socket with a full backlog says EAGAIN
    auto connection = std::make_unique<Connection>(owner, peer, loop, std::move(socket));
    connection->connecting = !done;
    connection->writable = done;
    if (!done) connection->watch_writable();
    return connection;
}

Connection::Connection(Upstream& owner, Peer& peer, execution::Loop& loop, ipc::UniqueFd socket)
    : transport(std::move(socket)), owner_(owner), peer_(peer), epoch_(peer.epoch), loop_(loop) {
    const short edges = EV_READ | EV_CLOSED | EV_PERSIST | EV_ET;
    if (event_assign(&event_, &loop.base(), transport.fd(), edges, &Connection::on_event, this) != 0)
        std::abort();
    event_add(&event_, nullptr);  // should it fail, the call's deadline ends it
}

Connection::~Connection() {
    if (later_) loop_.forget(event_);
    event_del(&event_);
    if (writable_event_) event_del(writable_event_.get());
}

void Connection::watch_writable() {
    if (writable_event_) return;
    writable_event_ = std::make_unique<event>();
    const short edges = EV_WRITE | EV_PERSIST | EV_ET;
    if (event_assign(writable_event_.get(), &loop_.base(), transport.fd(), edges, &Connection::on_event,
                     this) != 0)
        std::abort();
    event_add(writable_event_.get(), nullptr);
}

void Connection::unwatch_writable() noexcept {
    if (!writable_event_) return;
    event_del(writable_event_.get());
    writable_event_.reset();
}

void Connection::yield() noexcept {
    if (!std::exchange(later_, true)) loop_.next_turn(event_);
}

int Connection::connected() noexcept {
    if (!connecting) return 0;
    if (!writable && !readable && !ending) return EINPROGRESS;
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(transport.fd(), SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    if (error == 0 && !writable) return EINPROGRESS;
    if (error == 0) {
        connecting = false;
        unwatch_writable();
    }
    return error;
}

void Connection::on_event(evutil_socket_t, short what, void* self) noexcept {
    auto& connection = *static_cast<Connection*>(self);
    connection.loop_.enter();
    if ((what & EV_TIMEOUT) != 0) connection.later_ = false;
    if ((what & (EV_READ | EV_CLOSED)) != 0) connection.readable = true;
    if ((what & EV_CLOSED) != 0) connection.ending = true;
    if ((what & EV_WRITE) != 0) connection.writable = true;
    if (connection.user_ != nullptr) return connection.user_->on_io();
    if (!connection.readable) return;
    // Idle, and it says something or ends. Or this is old news: its last user read all of it in this very
    // pass, before it was told.
    connection.readable = connection.ending || connection.transport.peek() != worker::connection::Io::blocked;
    if (connection.readable) connection.owner_.drop(connection);
}

void Connection::on_deadline() noexcept { owner_.drop(*this); }

}  // namespace worker::upstream
