// ipc/descriptors.h: bytes on a Unix stream socket, with descriptors that go with them.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "ipc/unique_fd.h"

namespace ipc {

/// Of one message.
constexpr std::size_t stream_descriptors_max = 4;

/// As `send` without waiting and without SIGPIPE; where anything is sent, the descriptors are with its first
/// byte. More than the maximum of them: EINVAL.
[[nodiscard]] ssize_t send_with(int socket, std::string_view bytes, std::span<const UniqueFd> descriptors);

/// As `recv`; what came with the bytes is appended, close-on-exec.
[[nodiscard]] ssize_t receive_with(int socket, std::span<char> into, std::vector<UniqueFd>& descriptors);

}  // namespace ipc
