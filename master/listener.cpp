// master/listener.cpp: socket, options, bind; listen later; steering in between; a last queue emptied.
#include "master/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
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

ipc::Result<void> Listener::check_free(const conf::Address& address) {
    if (address.family == conf::Address::Family::unix_path || address.port == 0) return {};
    // Without SO_REUSEPORT: whoever listens there, even by our own user, makes this fail.
    if (auto probe = bind_tcp(address, false, false); !probe)
        return tl::make_unexpected(std::move(probe.error()));
    return {};
}

ipc::Result<std::shared_ptr<Listener>> Listener::make(const conf::Listen& plan, Sharing sharing) {
    const bool is_unix = plan.address.family == conf::Address::Family::unix_path;
    std::shared_ptr<Listener> listener(new Listener(plan.address, is_unix));
    if (!is_unix) return listener;
    auto bound = UnixSocket::bind(plan.address.host, 0666, sharing.blocking);
    if (!bound) return tl::make_unexpected(std::move(bound.error()));
    listener->only_ = std::make_shared<ListenSocket>(ListenSocket{bound->take_socket(), sharing.blocking, 0});
    listener->file_ = std::move(*bound);
    return listener;
}

std::shared_ptr<Listener> Listener::inherit(const conf::Address& requested, std::vector<SocketPtr> sockets,
                                            std::optional<UnixSocket> file, bool single) {
    std::shared_ptr<Listener> listener(new Listener(requested, single));
    if (requested.family != conf::Address::Family::unix_path && requested.port == 0 && !sockets.empty())
        listener->address_.port = bound_port(sockets.front()->fd.get());
    if (single && !sockets.empty()) listener->only_ = sockets.front();
    listener->file_ = std::move(file);
    listener->group_ = std::move(sockets);
    return listener;
}

void Listener::keep_file(bool ours) noexcept {
    if (!file_) return;
    if (ours)
        file_->keep();
    else
        file_->leave();
}

// ---- sockets for a generation ----------------------------------------------------------------------

ipc::Result<Layout> Listener::lay_out(Sharing sharing, std::uint32_t queues, const Layout& before) {
    if (only_) return Layout{only_};
    const std::size_t wanted = sharing.one ? 1 : queues;
    Layout layout;
    const auto take = [&](const SocketPtr& socket) {
        if (layout.size() < wanted && socket->blocking == sharing.blocking &&
            std::find(layout.begin(), layout.end(), socket) == layout.end())
            layout.push_back(socket);
    };
    for (const auto& socket : before) take(socket);
    for (const auto& socket : group_) take(socket);  // one that an earlier generation had too many of
    while (layout.size() < wanted) {
        auto socket = bind(sharing.blocking);
        if (!socket) return tl::make_unexpected(std::move(socket.error()));
        layout.push_back(std::move(*socket));
    }
    return layout;
}

ipc::Result<SocketPtr> Listener::bind(bool blocking) {
    auto socket = bind_tcp(address_, true, blocking);
    if (!socket) return tl::make_unexpected(std::move(socket.error()));
    if (address_.port == 0) address_.port = bound_port(socket->get());
    return std::make_shared<ListenSocket>(ListenSocket{std::move(*socket), blocking, 0});
}

// ---- the group that the kernel chooses from --------------------------------------------------------

ipc::Result<void> Listener::listen(const SocketPtr& socket, std::uint32_t backlog) {
    const auto length = std::clamp<std::uint32_t>(backlog, 1, 1u << 16);
    if (socket->backlog == length) return {};
    if (::listen(socket->fd.get(), static_cast<int>(length)) < 0)
        return ipc::system_error("listen on " + address_.text());
    if (!socket->listening() && std::find(group_.begin(), group_.end(), socket) == group_.end())
        group_.push_back(socket);
    socket->backlog = length;
    return {};
}

ipc::Result<void> Listener::steer(const std::vector<const ListenSocket*>& live) {
    live_ = live;
    if (single_ || group_.empty()) return {};
    std::vector<std::uint32_t> chosen;
    for (std::uint32_t index = 0; index < group_.size(); ++index)
        if (std::find(live.begin(), live.end(), group_[index].get()) != live.end()) chosen.push_back(index);
    if (chosen.size() == group_.size() || chosen.size() > steered_max) chosen.clear();
    return attach(std::move(chosen));
}

ipc::Result<void> Listener::attach(std::vector<std::uint32_t> chosen) {
    if (chosen == steered_to_) return {};
    const int socket = group_.front()->fd.get();
    auto done = chosen.empty() ? unsteer(socket) : master::steer(socket, chosen);
    if (done) steered_to_ = std::move(chosen);
    return done;
}

void Listener::deafen() noexcept {
    // Whose first packet was heard shall be able to go on: its client may believe to be connected already.
    constexpr unsigned flags_offset = 13, syn = 0x02, ack = 0x10;  // RFC 9293, section 3.1
    std::array<sock_filter, 5> drop_first{
        {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, flags_offset), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, syn | ack),
         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syn, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
         BPF_STMT(BPF_RET | BPF_K, 0xffffffff)}};
    const sock_fprog program{.len = drop_first.size(), .filter = drop_first.data()};
    for (const auto& socket : group_)  // refused for Unix sockets, whose clients notice at once
        ::setsockopt(socket->fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void Listener::listen_again() noexcept {
    const int unused = 0;
    for (const auto& socket : group_)  // fails where there is no filter
        ::setsockopt(socket->fd.get(), SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

// The kernel fills the gap that a socket leaves in its group with the last one. So first connections are
// steered to those whose place stays the same; where there are none, an index out of range makes the kernel
// hash, over sockets that are all fine once the leaving one is gone.
ipc::Result<void> Listener::close(const SocketPtr& socket) {
    const auto found = std::find(group_.begin(), group_.end(), socket);
    if (found == group_.end()) return {};
    const auto leaving = static_cast<std::uint32_t>(found - group_.begin());
    const auto last = static_cast<std::uint32_t>(group_.size() - 1);
    std::vector<std::uint32_t> staying;
    for (std::uint32_t index = 0; index < last; ++index)
        if (index != leaving && std::find(live_.begin(), live_.end(), group_[index].get()) != live_.end())
            staying.push_back(index);
    if (staying.empty() && leaving != last) staying.push_back(last);
    if (!staying.empty() && !single_)
        if (auto steered = attach(staying); !steered) return steered;

    // Takes it out of the group at once, also where a worker still has a copy.
    if (::shutdown(socket->fd.get(), SHUT_RD) < 0) return ipc::system_error("close " + address_.text());
    socket->backlog = 0;
    *found = group_.back();
    group_.pop_back();
    return steer(std::vector(live_));
}

std::optional<std::uint32_t> Listener::pending(const ListenSocket& socket) {
    tcp_info info{};
    socklen_t size = sizeof info;
    // Of a listening socket, "unacked" is the length of its accept queue.
    if (::getsockopt(socket.fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return std::nullopt;
    return info.tcpi_unacked;
}

std::optional<std::uint32_t> Listener::pending() const {
    std::uint32_t waiting = 0;
    for (const auto& socket : group_) {
        const auto here = pending(*socket);
        if (!here) return std::nullopt;
        waiting += *here;
    }
    return waiting;
}

}  // namespace master
