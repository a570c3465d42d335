// master/listener.cpp: socket, options, bind; listen later; steering in between.
#include "master/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "master/steering.h"

namespace master {
namespace {

struct TcpAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

ipc::Result<TcpAddress> resolve(const conf::Address& address) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_family = address.family == conf::Address::Family::ipv6 ? AF_INET6 : AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int code =
        ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (code != 0) return ipc::failure("bind " + address.text() + ": " + ::gai_strerror(code));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
    TcpAddress resolved;
    resolved.size = found->ai_addrlen;
    std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
                reinterpret_cast<char*>(&resolved.storage));
    return resolved;
}

bool enable(int socket, int level, int option) {
    const int on = 1;
    return ::setsockopt(socket, level, option, &on, sizeof on) == 0;
}

/// `group`: let the address be shared with our own sockets, of other slots or overlapping addresses.
ipc::Result<ipc::UniqueFd> bind_tcp(const conf::Address& address, bool group, bool blocking) {
    const auto where = resolve(address);
    if (!where) return tl::make_unexpected(where.error());
    const int family = where->storage.ss_family;
    ipc::UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0));
    if (!socket) return ipc::system_error("socket for " + address.text());

    const int fd = socket.get();
    if (!enable(fd, SOL_SOCKET, SO_REUSEADDR) || !enable(fd, IPPROTO_TCP, TCP_NODELAY) ||
        (group && !enable(fd, SOL_SOCKET, SO_REUSEPORT)) ||
        (family == AF_INET6 && !enable(fd, IPPROTO_IPV6, IPV6_V6ONLY)))
        return ipc::system_error("set options for " + address.text());
    if (::bind(fd, where->get(), where->size) < 0) return ipc::system_error("bind " + address.text());
    return socket;
}

std::uint16_t bound_port(int socket) {
    TcpAddress bound;
    bound.size = sizeof bound.storage;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) < 0) return 0;
    return bound.storage.ss_family == AF_INET6
               ? ntohs(reinterpret_cast<const sockaddr_in6*>(&bound.storage)->sin6_port)
               : ntohs(reinterpret_cast<const sockaddr_in*>(&bound.storage)->sin_port);
}

}  // namespace

ipc::Result<void> Listener::check_free(const conf::Listen& plan) {
    if (plan.address.family == conf::Address::Family::unix_path || plan.address.port == 0) return {};
    // Without SO_REUSEPORT: whoever listens there, even by our own user, makes this fail.
    if (auto probe = bind_tcp(plan.address, false, false); !probe)
        return tl::make_unexpected(std::move(probe.error()));
    return {};
}

ipc::Result<Listener> Listener::bind(const conf::Listen& plan, conf::Accept accept, std::uint32_t slots) {
    Listener listener(plan, accept);
    if (plan.address.family == conf::Address::Family::unix_path) {
        auto bound = UnixSocket::bind(plan.address.host, 0666, listener.blocking());
        if (!bound) return tl::make_unexpected(std::move(bound.error()));
        listener.unix_ = std::move(*bound);
        return listener;
    }
    const std::uint32_t count = listener.per_slot() ? slots : 1;
    for (std::uint32_t slot = 0; slot < count; ++slot) {
        auto socket = bind_tcp(listener.plan_.address, true, listener.blocking());
        if (!socket) return tl::make_unexpected(std::move(socket.error()));
        if (plan.address.port == 0 && slot == 0) listener.plan_.address.port = bound_port(socket->get());
        listener.sockets_.push_back(std::move(*socket));
    }
    return listener;
}

int Listener::socket_of(std::uint32_t slot) const noexcept {
    if (unix_) return unix_->fd();
    return sockets_[per_slot() ? slot : 0].get();
}

bool Listener::listening(std::uint32_t slot) const noexcept {
    if (!per_slot()) return !group_.empty();
    return std::find(group_.begin(), group_.end(), slot) != group_.end();
}

ipc::Result<void> Listener::listen(std::uint32_t slot) {
    if (listening(slot)) return {};
    const auto backlog = static_cast<int>(std::min<std::uint32_t>(plan_.backlog, 1u << 16));
    if (::listen(socket_of(slot), backlog) < 0) return ipc::system_error("listen on " + plan_.address.text());
    group_.push_back(slot);
    return {};
}

ipc::Result<void> Listener::steer(const std::vector<bool>& live) {
    if (!per_slot() || group_.empty()) return {};
    std::vector<std::uint32_t> chosen;
    for (std::uint32_t index = 0; index < group_.size(); ++index)
        if (live[group_[index]]) chosen.push_back(index);
    if (chosen.size() == group_.size() || chosen.size() > steered_max) chosen.clear();
    if (chosen == steered_to_) return {};

    const int socket = socket_of(group_.front());
    auto done = chosen.empty() ? unsteer(socket) : master::steer(socket, chosen);
    if (done) steered_to_ = std::move(chosen);
    return done;
}

std::optional<std::uint32_t> Listener::pending() const {
    if (unix_) return std::nullopt;
    std::uint32_t waiting = 0;
    for (const std::uint32_t slot : group_) {
        tcp_info info{};
        socklen_t size = sizeof info;
        // Of a listening socket, "unacked" is the length of its accept queue.
        if (::getsockopt(socket_of(slot), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return std::nullopt;
        waiting += info.tcpi_unacked;
    }
    return waiting;
}

}  // namespace master
