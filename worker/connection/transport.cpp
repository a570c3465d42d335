#include "worker/connection/transport.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <cerrno>

namespace worker::connection {
namespace {

Moved outcome(ssize_t moved) noexcept {
    if (moved >= 0) return {Io::moved, static_cast<std::size_t>(moved)};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::blocked, 0};
    return {Io::ended, 0, errno};
}

/// Repeats what a signal cut short.
template <class Call>
ssize_t uninterrupted(Call call) noexcept {
    ssize_t result = call();
    while (result < 0 && errno == EINTR) result = call();
    return result;
}

int flags(bool more) noexcept { return MSG_NOSIGNAL | (more ? MSG_MORE : 0); }

}  // namespace

Moved Transport::receive(char* into, std::size_t room) noexcept {
    const ssize_t got = uninterrupted([&] { return ::recv(socket_.get(), into, room, 0); });
    if (got == 0) return {Io::ended, 0};
    return outcome(got);
}

Moved Transport::send(const char* bytes, std::size_t size, bool more) noexcept {
    return outcome(uninterrupted([&] { return ::send(socket_.get(), bytes, size, flags(more)); }));
}

Moved Transport::send(std::span<const iovec> pieces, bool more) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    return outcome(uninterrupted([&] { return ::sendmsg(socket_.get(), &message, flags(more)); }));
}

Moved Transport::send_file(int file, off_t offset, std::size_t size) noexcept {
    const Moved moved =
        outcome(uninterrupted([&] { return ::sendfile(socket_.get(), file, &offset, size); }));
    // Nothing left where bytes were promised: the file shrank while we sent it.
    if (moved.io == Io::moved && moved.bytes == 0) return {Io::ended, 0};
    return moved;
}

Moved Transport::send_pipe(int pipe, std::size_t size) noexcept {
    return outcome(uninterrupted([&] {
        return ::splice(pipe, nullptr, socket_.get(), nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    }));
}

Moved Transport::receive_pipe(int pipe, std::size_t size) noexcept {
    const ssize_t got = uninterrupted([&] {
        return ::splice(socket_.get(), nullptr, pipe, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    });
    if (got == 0) return {Io::ended, 0};
    return outcome(got);
}

Io Transport::peek() noexcept {
    char byte = 0;
    const ssize_t got =
        uninterrupted([&] { return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT); });
    return got == 0 ? Io::ended : outcome(got).io;
}

void Transport::cork(bool on) noexcept {
    const int value = on ? 1 : 0;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_CORK, &value, sizeof value);  // a Unix socket has none
}

Peer Transport::local() const noexcept {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        address.ss_family = AF_UNSPEC;
    return Peer::from(address);
}

void Transport::finish() noexcept { ::shutdown(socket_.get(), SHUT_WR); }

}  // namespace worker::connection
