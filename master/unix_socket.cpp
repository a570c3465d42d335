// master/unix_socket.cpp: binding over what a dead process left, and nothing else.
#include "master/unix_socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <utility>

namespace master {
namespace {

ipc::Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return ipc::failure("socket path " + path + ": must have 1 to 107 bytes");
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

/// Leaves the name free, or says why it may not be taken.
ipc::Result<void> clear_stale(const std::string& path) {
    struct stat file {};
    if (::lstat(path.c_str(), &file) < 0) {
        if (errno == ENOENT) return {};
        return ipc::system_error("look at " + path);
    }
    if (!S_ISSOCK(file.st_mode))
        return ipc::failure("bind unix:" + path + ": a file that is no socket is there");

    const auto answer = connect_unix(path, true);
    if (answer || answer.error().why.value() != ECONNREFUSED) {
        errno = EADDRINUSE;
        return ipc::system_error("bind unix:" + path);
    }
    if (::unlink(path.c_str()) < 0 && errno != ENOENT)
        return ipc::system_error("remove stale socket " + path);
    return {};
}

}  // namespace

ipc::Result<ipc::UniqueFd> connect_unix(const std::string& path, bool nonblocking) {
    const auto address = address_of(path);
    if (!address) return tl::make_unexpected(address.error());
    const int flags = nonblocking ? SOCK_NONBLOCK : 0;
    ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!socket) return ipc::system_error("socket");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0)
        return ipc::system_error("connect to " + path);
    return socket;
}

ipc::Result<UnixSocket> UnixSocket::bind(const std::string& path, mode_t mode, bool blocking) {
    const auto address = address_of(path);
    if (!address) return tl::make_unexpected(address.error());
    if (auto cleared = clear_stale(path); !cleared) return tl::make_unexpected(std::move(cleared.error()));

    const int flags = blocking ? 0 : SOCK_NONBLOCK;
    ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!socket) return ipc::system_error("socket");
    // Before bind, so that the file is never more open than `mode`; the umask can only narrow it, hence
    // chmod.
    if (::fchmod(socket.get(), mode) < 0) return ipc::system_error("set mode of unix:" + path);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0)
        return ipc::system_error("bind unix:" + path);
    struct stat file {};
    if (::chmod(path.c_str(), mode) < 0 || ::lstat(path.c_str(), &file) < 0)
        return ipc::system_error("set mode of unix:" + path);
    return UnixSocket(std::move(socket), path, file);
}

ipc::Result<UnixSocket> UnixSocket::adopt(ipc::UniqueFd socket, const std::string& path) {
    struct stat file {};
    if (::lstat(path.c_str(), &file) < 0) return ipc::system_error("look at " + path);
    UnixSocket adopted(std::move(socket), path, file);
    adopted.leave();
    return adopted;
}

UnixSocket::UnixSocket(UnixSocket&& other) noexcept
    : socket_(std::move(other.socket_)),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_),
      ours_(other.ours_) {}

UnixSocket& UnixSocket::operator=(UnixSocket&& other) noexcept {
    if (this == &other) return *this;
    remove();
    socket_ = std::move(other.socket_);
    path_ = std::exchange(other.path_, {});
    device_ = other.device_;
    inode_ = other.inode_;
    ours_ = other.ours_;
    return *this;
}

void UnixSocket::remove() noexcept {
    struct stat file {};
    if (ours_ && !path_.empty() && ::lstat(path_.c_str(), &file) == 0 && file.st_dev == device_ &&
        file.st_ino == inode_)
        ::unlink(path_.c_str());
    path_.clear();
    socket_.reset();
}

}  // namespace master
