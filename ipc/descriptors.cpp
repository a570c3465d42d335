#include "ipc/descriptors.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ipc {
namespace {

constexpr std::size_t stream_control_bytes = CMSG_SPACE(sizeof(int) * stream_descriptors_max);

}  // namespace

ssize_t send_with(int socket, std::string_view bytes, std::span<const UniqueFd> descriptors) {
    if (descriptors.size() > stream_descriptors_max) {
        errno = EINVAL;
        return -1;
    }
    iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};  // it is only read
    alignas(cmsghdr) std::array<unsigned char, stream_control_bytes> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
        for (std::size_t index = 0; index < descriptors.size(); ++index) {
            const int fd = descriptors[index].get();
            std::memcpy(CMSG_DATA(rights) + index * sizeof fd, &fd, sizeof fd);
        }
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t receive_with(int socket, std::span<char> into, std::vector<UniqueFd>& descriptors) {
    iovec part{.iov_base = into.data(), .iov_len = into.size()};
    alignas(cmsghdr) std::array<unsigned char, stream_control_bytes> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (size < 0) return size;
    for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= each->cmsg_len; at += sizeof(int)) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(each) + at, sizeof fd);
            descriptors.emplace_back(fd);
        }
    }
    return size;
}

}  // namespace ipc
