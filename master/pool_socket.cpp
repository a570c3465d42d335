// master/pool_socket.cpp: bound in a folder of ours that is gone before anybody could look into it.
#include "master/pool_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace master {
namespace {

constexpr int backlog = 64;  ///< one task at a time, and what was given up before
constexpr std::array<const char*, 3> places{"/run/reeve-XXXXXX", "/tmp/reeve-XXXXXX",
                                            "/dev/shm/reeve-XXXXXX"};

sockaddr_un pool_address_of(const std::string& path) noexcept {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

/// A folder that only we may enter, removed with the end of this.
class PrivateFolder {
 public:
    [[nodiscard]] static ipc::Result<PrivateFolder> make() {
        for (const char* place : places) {
            std::string path = place;
            if (::mkdtemp(path.data()) != nullptr) return PrivateFolder(std::move(path));
        }
        return ipc::system_error("no folder for the sockets of pools, neither in /run nor in /tmp");
    }
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;
    PrivateFolder(PrivateFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    PrivateFolder& operator=(PrivateFolder&&) = delete;
    ~PrivateFolder() {
        if (!path_.empty()) ::rmdir(path_.c_str());
    }
    [[nodiscard]] std::string socket() const { return path_ + "/s"; }

 private:
    explicit PrivateFolder(std::string path) noexcept : path_(std::move(path)) {}
    std::string path_;
};

}  // namespace

ipc::Result<std::vector<PoolSocket>> PoolSocket::open(std::size_t count) {
    auto folder = PrivateFolder::make();
    if (!folder) return tl::make_unexpected(std::move(folder.error()));
    const auto path = folder->socket();
    const auto address = pool_address_of(path);
    std::vector<PoolSocket> sockets;
    for (std::size_t i = 0; i < count; ++i) {
        ipc::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!listener) return ipc::system_error("socket of a pool");
        if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
            return ipc::system_error("bind the socket of a pool");
        ipc::UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
        // Workers are another user. Nobody else gets here: there is no way to it but that descriptor.
        const bool opened = place && ::chmod(path.c_str(), 0666) == 0;
        ::unlink(path.c_str());
        if (!opened) return ipc::system_error("open the socket of a pool");
        if (::listen(listener.get(), backlog) < 0) return ipc::system_error("listen for a pool");
        sockets.push_back(PoolSocket(std::move(listener), std::move(place)));
    }
    return sockets;
}

bool PoolSocket::pending() const noexcept {
    pollfd waiting{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 0) == 1;
}

void PoolSocket::drop_pending() const noexcept {
    // Should a stranger have the socket still and be faster, we do not wait for the next connection.
    const int flags = ::fcntl(listener_.get(), F_GETFL);
    ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK);
    while (ipc::UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC))) {
    }
    ::fcntl(listener_.get(), F_SETFL, flags);
}

ipc::UniqueFd connect_to_pool(const std::string& path) {
    ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto address = pool_address_of(path);
    if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return {};
    return socket;
}

}  // namespace master
