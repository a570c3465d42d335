#include "worker/connection/reception.h"

#include <sys/socket.h>

#include <array>

namespace worker::connection {

void turn_away(const ipc::UniqueFd& socket) noexcept {
    std::array<char, 16 * 1024> unread;
    (void)::send(socket.get(), busy.data(), busy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(socket.get(), SHUT_WR);
    (void)::recv(socket.get(), unread.data(), unread.size(), MSG_DONTWAIT);
}

}  // namespace worker::connection
