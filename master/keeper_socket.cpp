#include "master/keeper_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "master/pool_socket.h"

namespace master {
namespace {

constexpr int keeper_backlog = 4096;  ///< each loop of each worker has a connection; the kernel cuts it

}  // namespace

ipc::Result<KeeperSocket> KeeperSocket::open() {
    auto made = PoolSocket::open(1);
    if (!made) return tl::make_unexpected(std::move(made.error()));
    auto& socket = made->front();
    ipc::UniqueFd listener(::fcntl(socket.fd(), F_DUPFD_CLOEXEC, 3));
    if (!listener || ::fcntl(listener.get(), F_SETFL, O_NONBLOCK) < 0 ||
        ::listen(listener.get(), keeper_backlog) < 0)
        return ipc::system_error("listen for jobs");
    return KeeperSocket(std::move(listener), socket.take_address());
}

ipc::Result<void> KeeperSocket::open_once(std::optional<KeeperSocket>& socket) {
    if (socket) return {};
    auto opened = open();
    if (!opened) return tl::make_unexpected(std::move(opened.error()));
    socket = std::move(*opened);
    return {};
}

}  // namespace master
