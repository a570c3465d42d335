// master/lab/server.h: a reeve of our own binary for one trial, in a folder that goes with it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "ipc/result.h"
#include "ipc/unique_fd.h"
#include "master/lab/folder.h"

namespace master::lab {

/// What a trial says of its server beside what all need: port, control socket, log and `/warm`.
struct Setting {
    std::string execution;  ///< lines of [execution]
    std::string sections;   ///< routes and pools
};

/// Serves while it lives, on a port of 127.0.0.1. It is ended, and all of its processes with it, by the
/// destructor; and by the kernel when we are gone.
class Server {
 public:
    /// Returns when it serves. `program`: the binary. `stop` as of `Generator`.
    [[nodiscard]] static ipc::Result<Server> start(const std::string& program, const Folder& folder,
                                                   const Setting& setting, const std::atomic<bool>& stop);
    Server(Server&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), ended_(std::move(other.ended_)), port_(other.port_) {}
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    Server& operator=(Server&&) = delete;
    ~Server();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
    Server(pid_t pid, ipc::UniqueFd ended, std::uint16_t port) noexcept
        : pid_(pid), ended_(std::move(ended)), port_(port) {}
    [[nodiscard]] bool wait(int ms) const noexcept;

    pid_t pid_;            ///< also the group of its processes; -1: none
    ipc::UniqueFd ended_;  ///< readable when it has ended
    std::uint16_t port_;
};

/// The configuration of such a server.
[[nodiscard]] std::string configuration(const Setting& setting, const std::string& folder,
                                        std::uint16_t port);

}  // namespace master::lab
