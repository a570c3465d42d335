// master/keeper_socket.h: where keepers take jobs: one Unix socket without a name, for as long as we serve.
#pragma once

#include <optional>
#include <utility>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// Whoever connects while no keeper accepts waits in its queue: over deaths, reloads and upgrades.
class KeeperSocket {
 public:
    /// Bound and listening; does not block.
    [[nodiscard]] static ipc::Result<KeeperSocket> open();
    /// Unless there is one.
    [[nodiscard]] static ipc::Result<void> open_once(std::optional<KeeperSocket>& socket);
    /// One that another master has opened.
    KeeperSocket(ipc::UniqueFd listener, ipc::UniqueFd address) noexcept
        : listener_(std::move(listener)), address_(std::move(address)) {}

    [[nodiscard]] int listener() const noexcept { return listener_.get(); }
    /// O_PATH, of the socket's file, which has no name any more: connections go through /proc/self/fd.
    [[nodiscard]] int address() const noexcept { return address_.get(); }

 private:
    ipc::UniqueFd listener_, address_;
};

}  // namespace master
