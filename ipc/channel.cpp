// ipc/channel.cpp: one frame a packet, with the descriptors that belong to it.
#include "ipc/channel.h"

#include <sys/socket.h>

#include <array>
#include <cstring>

namespace ipc {
namespace {

constexpr std::size_t control_bytes = CMSG_SPACE(sizeof(int) * Channel::descriptors_max);

/// Owns every descriptor that came with the packet, whether or not the packet is any good.
std::vector<UniqueFd> take_descriptors(msghdr& packet) {
    std::vector<UniqueFd> taken;
    for (cmsghdr* part = CMSG_FIRSTHDR(&packet); part != nullptr; part = CMSG_NXTHDR(&packet, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t index = 0; index < count; ++index) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + index * sizeof fd, sizeof fd);
            taken.emplace_back(fd);
        }
    }
    return taken;
}

}  // namespace

Result<std::pair<Channel, Channel>> Channel::pair() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) < 0)
        return system_error("socketpair");
    return std::pair(Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1])));
}

Result<void> Channel::send(const Message& message, std::span<const int> descriptors) {
    if (descriptors.size() > descriptors_max) return failure("send message: too many descriptors");

    auto frame = encode(message);
    iovec bytes{.iov_base = frame.data(), .iov_len = frame.size()};
    alignas(cmsghdr) std::array<unsigned char, control_bytes> control{};
    msghdr packet{};
    packet.msg_iov = &bytes;
    packet.msg_iovlen = 1;
    if (!descriptors.empty()) {
        packet.msg_control = control.data();
        packet.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* rights = CMSG_FIRSTHDR(&packet);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }

    for (;;) {
        if (::sendmsg(socket_.get(), &packet, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
        if (errno != EINTR) return system_error("send message");
    }
}

Result<Got> Channel::receive(Received& into) {
    std::array<std::byte, frame_bytes_max> frame{};
    iovec bytes{.iov_base = frame.data(), .iov_len = frame.size()};
    alignas(cmsghdr) std::array<unsigned char, control_bytes> control{};
    msghdr packet{};
    packet.msg_iov = &bytes;
    packet.msg_iovlen = 1;
    packet.msg_control = control.data();
    packet.msg_controllen = control.size();

    // ECONNRESET: it left without reading what we had sent. That is told once, and first; behind it is what
    // it had to say, and its end.
    ssize_t size = -1;
    do size = ::recvmsg(socket_.get(), &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (size < 0 && (errno == EINTR || errno == ECONNRESET));
    if (size < 0) {
        if (errno == EAGAIN) return Got::nothing;
        return system_error("receive message");
    }

    auto descriptors = take_descriptors(packet);
    if ((packet.msg_flags & MSG_CTRUNC) != 0) return failure("receive message: descriptors were cut off");
    if ((packet.msg_flags & MSG_TRUNC) != 0) return failure("receive message: frame too long");
    if (size == 0) return Got::closed;

    auto message = decode(std::span(frame).first(static_cast<std::size_t>(size)));
    if (!message) return tl::make_unexpected(std::move(message.error()));
    into.message = std::move(*message);
    into.descriptors = std::move(descriptors);
    return Got::message;
}

}  // namespace ipc
