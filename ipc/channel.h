// ipc/channel.h: one end of a SOCK_SEQPACKET pair that carries messages and descriptors.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "ipc/message.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace ipc {

/// A message and what came attached to it; whoever receives owns the descriptors.
struct Received {
    Message message;
    std::vector<UniqueFd> descriptors;
};

/// What a look into the channel found.
enum class Got { message, nothing, closed };

/// Non-blocking, close-on-exec. A full channel is an error to the sender: the peer reads too slowly.
class Channel {
 public:
    static constexpr std::size_t descriptors_max = 64;

    /// Both ends of a new pair: first for the master, second for the worker.
    [[nodiscard]] static Result<std::pair<Channel, Channel>> pair();

    explicit Channel(UniqueFd socket) noexcept : socket_(std::move(socket)) {}

    /// Sends one frame; `descriptors` stay the caller's.
    [[nodiscard]] Result<void> send(const Message& message, std::span<const int> descriptors = {});
    /// Takes one frame. An undecodable frame, or more descriptors than allowed, is an error: end the peer.
    [[nodiscard]] Result<Got> receive(Received& into);

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
    UniqueFd socket_;
};

}  // namespace ipc
