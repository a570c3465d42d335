// worker/connection/transport.h: moves bytes between us and the peer; here a socket, with TLS one day on it.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "ipc/unique_fd.h"
#include "worker/connection/peer.h"

namespace worker::connection {

enum class Io : std::uint8_t {
    moved,    ///< some bytes went
    blocked,  ///< none now; the loop will say when
    ended,    ///< the peer is gone, or the file is shorter than promised
};

struct Moved {
    Io io = Io::blocked;
    std::size_t bytes = 0;
    int error = 0;  ///< of one that ended: errno; 0: the peer said that it was done
};

/// Owns the socket. No call blocks; no call raises SIGPIPE.
class Transport {
 public:
    explicit Transport(ipc::UniqueFd socket) noexcept : socket_(std::move(socket)) {}

    /// `ended` at the peer's end of stream too.
    [[nodiscard]] Moved receive(char* into, std::size_t room) noexcept;
    /// `more`: another piece follows at once, so a short segment may wait for it (MSG_MORE).
    [[nodiscard]] Moved send(std::span<const iovec> pieces, bool more) noexcept;
    [[nodiscard]] Moved send(const char* bytes, std::size_t size, bool more) noexcept;
    /// From the page cache, where the transport can; at most `size` bytes from `offset` on.
    [[nodiscard]] Moved send_file(int file, off_t offset, std::size_t size) noexcept;
    /// What a pipe holds, at most `size` bytes, without a copy where the transport can (splice(2)).
    [[nodiscard]] Moved send_pipe(int pipe, std::size_t size) noexcept;
    /// Into a pipe, without a copy (splice(2)); `ended` at the end of the stream too.
    [[nodiscard]] Moved receive_pipe(int pipe, std::size_t size) noexcept;
    /// Whether the peer is still there: takes nothing. `ended` when it is not.
    [[nodiscard]] Io peek() noexcept;
    /// While on, only full segments leave (TCP_CORK); what is left goes at once when it is turned off.
    void cork(bool on) noexcept;
    /// Our own end, as the kernel has it.
    [[nodiscard]] Peer local() const noexcept;
    /// Says that nothing more will be sent.
    void finish() noexcept;

    /// The socket, for another transport.
    [[nodiscard]] ipc::UniqueFd leave() noexcept { return std::move(socket_); }

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    [[nodiscard]] bool secure() const noexcept { return false; }

 private:
    ipc::UniqueFd socket_;
};

}  // namespace worker::connection
