// master/pool_socket.h: where one member of a pool takes connections: a Unix socket without a name.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// Bound and listening; the process of the member gets it as descriptor 0, and so does the one after it:
/// whoever waits in its queue loses nothing by a death. It has no file: connections go through `address`.
class PoolSocket {
 public:
    /// So many. Fails without /proc, or a folder to make them in.
    [[nodiscard]] static ipc::Result<std::vector<PoolSocket>> open(std::size_t count);

    [[nodiscard]] int fd() const noexcept { return listener_.get(); }
    /// An O_PATH descriptor of the socket's file, to be given away once.
    [[nodiscard]] ipc::UniqueFd take_address() noexcept { return std::move(address_); }
    /// Whether a connection waits that nobody has accepted.
    [[nodiscard]] bool pending() const noexcept;
    /// Closes those that wait. Only while no process has the socket: else it could take one first, and we
    /// would wait for the next.
    void drop_pending() const noexcept;

 private:
    PoolSocket(ipc::UniqueFd listener, ipc::UniqueFd address) noexcept
        : listener_(std::move(listener)), address_(std::move(address)) {}

    ipc::UniqueFd listener_;  ///< blocking, as applications expect it
    ipc::UniqueFd address_;
};

/// A connection to that path, which begins at once; none with errno set when it cannot.
[[nodiscard]] ipc::UniqueFd connect_to_pool(const std::string& path);

}  // namespace master
