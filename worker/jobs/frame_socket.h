// worker/jobs/frame_socket.h: a Unix stream socket between a keeper and a client of it, frame by frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/event.h"
#include "ipc/unique_fd.h"
#include "worker/execution/loop.h"
#include "worker/jobs/codec.h"

namespace worker::jobs {

/// Whoever has one. Called from the loop, never from within a call to the socket; may not destroy the socket
/// from within, but `close` it.
class FrameReceiver {
 public:
    virtual ~FrameReceiver() = default;
    virtual void on_frame(const Frame& frame) = 0;
    /// The other side is gone, or makes no sense; nothing more is read or sent.
    virtual void on_broken(std::string_view why) = 0;
    /// All that was sent is in the kernel's hands.
    virtual void on_sent() {}
};

/// Loop thread only. What is sent waits in memory without a bound but the sender's: it looks at `unsent`.
class FrameSocket {
 public:
    /// `socket` is connected, or about to be, and does not block.
    FrameSocket(execution::Loop& loop, ipc::UniqueFd socket, FrameReceiver& receiver);
    FrameSocket(const FrameSocket&) = delete;
    FrameSocket& operator=(const FrameSocket&) = delete;

    /// Where frames are appended that are to be sent, and then `flush` is called.
    [[nodiscard]] std::string& out() noexcept { return out_; }
    /// Sends what there is, now or when it can be taken.
    void flush();
    [[nodiscard]] std::size_t unsent() const noexcept { return out_.size() - sent_; }
    /// Bytes that the kernel has taken, since the beginning.
    [[nodiscard]] std::uint64_t went() const noexcept { return went_; }
    /// What waits there stays there.
    void pause(bool on);
    void close() noexcept;
    [[nodiscard]] bool open() const noexcept { return static_cast<bool>(socket_); }
    /// How long the other side has not taken what it was to take, at this CLOCK_MONOTONIC in ms; 0: nothing
    /// waits for it.
    [[nodiscard]] std::uint64_t stalled_ms(std::uint64_t now) const noexcept {
        return waits_ && now > moved_ms_ ? now - moved_ms_ : 0;
    }

 private:
    void on_readable(short what);
    void on_writable(short what);
    void on_resumed(short what);
    [[nodiscard]] bool receive();
    void take_frames();
    bool write();
    void broken(std::string_view why);

    execution::Loop& loop_;
    ipc::UniqueFd socket_;
    FrameReceiver& receiver_;
    std::string in_, out_;
    std::size_t taken_ = 0, sent_ = 0;
    std::uint64_t moved_ms_ = 0;  ///< when the kernel took something last, or refused to first
    std::uint64_t went_ = 0;
    bool paused_ = false, waits_ = false;
    ipc::Event readable_, writable_, resumed_;
};

}  // namespace worker::jobs
