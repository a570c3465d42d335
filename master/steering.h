// master/steering.h: which sockets of a reuseport group get new connections.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <vector>

#include "ipc/result.h"

namespace master {

/// No group is larger: a program has two instructions a socket, and the kernel takes 4096.
constexpr std::size_t steered_max = 1024;

/// A classic BPF program that picks one of `live` at random; each is a socket's index in its group, which
/// is the order of listen(). `live` must not be empty.
[[nodiscard]] std::vector<sock_filter> steering_program(std::span<const std::uint32_t> live);

/// Makes the group of `socket`, which must listen, choose among `live` only. Swaps atomically; no privilege.
[[nodiscard]] ipc::Result<void> steer(int socket, std::span<const std::uint32_t> live);

/// Lets the kernel hash over the whole group again.
[[nodiscard]] ipc::Result<void> unsteer(int socket);

}  // namespace master
