// master/unix_socket.h: a Unix socket with a name in the file system, and the end of that name.
#pragma once

#include <sys/stat.h>

#include <string>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// A bound stream socket; its file is removed with it, unless another has taken the name meanwhile.
class UnixSocket {
 public:
    /// Close-on-exec. A file left behind is removed first, but only if nobody answers on it; whatever is not
    /// a socket is never removed. `mode`: the file's permissions, whatever the umask.
    [[nodiscard]] static ipc::Result<UnixSocket> bind(const std::string& path, mode_t mode, bool blocking);

    UnixSocket(UnixSocket&& other) noexcept;
    UnixSocket& operator=(UnixSocket&& other) noexcept;
    ~UnixSocket() { remove(); }

    /// A socket that is bound to `path` already, by whoever handed it to us, whose the name stays.
    [[nodiscard]] static ipc::Result<UnixSocket> adopt(ipc::UniqueFd socket, const std::string& path);

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    /// The caller's from now on; the name stays ours.
    [[nodiscard]] ipc::UniqueFd take_socket() noexcept { return std::move(socket_); }
    /// The name is ours to remove from now on; or somebody else's.
    void keep() noexcept { ours_ = true; }
    void leave() noexcept { ours_ = false; }

 private:
    UnixSocket(ipc::UniqueFd socket, std::string path, const struct stat& file)
        : socket_(std::move(socket)), path_(std::move(path)), device_(file.st_dev), inode_(file.st_ino) {}
    void remove() noexcept;

    ipc::UniqueFd socket_;
    std::string path_;
    dev_t device_;
    ino_t inode_;
    bool ours_ = true;
};

/// Connects to `path`; non-blocking when `nonblocking`. Close-on-exec.
[[nodiscard]] ipc::Result<ipc::UniqueFd> connect_unix(const std::string& path, bool nonblocking);

}  // namespace master
