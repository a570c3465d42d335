#include "worker/jobs/frame_socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipc/clock.h"

namespace worker::jobs {
namespace {

constexpr std::size_t read_bytes = 64 * 1024;
constexpr int reads_per_turn = 8;
constexpr std::size_t kept_bytes = 1 << 20;  ///< memory of a buffer that stays when it is empty

void forget(std::string& buffer, std::size_t& used) {
    if (used == buffer.size()) {
        buffer.clear();
        if (buffer.capacity() > kept_bytes) buffer.shrink_to_fit();
        used = 0;
    } else if (used >= kept_bytes) {
        buffer.erase(0, used);
        used = 0;
    }
}

}  // namespace

FrameSocket::FrameSocket(execution::Loop& loop, ipc::UniqueFd socket, FrameReceiver& receiver)
    : loop_(loop),
      socket_(std::move(socket)),
      receiver_(receiver),
      readable_(ipc::Event::calling<&FrameSocket::on_readable>(this, loop.base(), socket_.get(),
                                                               EV_READ | EV_PERSIST)),
      writable_(ipc::Event::calling<&FrameSocket::on_writable>(this, loop.base(), socket_.get(), EV_WRITE)),
      resumed_(ipc::Event::timer<&FrameSocket::on_resumed>(this, loop.base())) {
    readable_.arm();
}

void FrameSocket::close() noexcept {
    readable_ = ipc::Event();
    writable_ = ipc::Event();
    resumed_ = ipc::Event();
    socket_.reset();
}

void FrameSocket::pause(bool on) {
    if (std::exchange(paused_, on) == on || !open()) return;
    if (on) return readable_.disarm();
    readable_.arm();
    resumed_.arm(std::chrono::milliseconds(0));  // frames may be here already
}

void FrameSocket::on_resumed(short) {
    loop_.enter();
    take_frames();
}

void FrameSocket::on_readable(short) {
    loop_.enter();
    for (int reads = 0; reads < reads_per_turn && open() && !paused_; ++reads) {
        const bool more = receive();
        take_frames();
        if (!more) return;
    }
}

/// True when there may be more.
bool FrameSocket::receive() {
    const auto had = in_.size();
    in_.resize(had + read_bytes);
    const auto got = ::recv(socket_.get(), in_.data() + had, read_bytes, 0);
    in_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) return static_cast<std::size_t>(got) == read_bytes;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    broken(got == 0 ? "closed" : "reset");
    return false;
}

void FrameSocket::take_frames() {
    while (open() && !paused_) {
        const std::string_view bytes = std::string_view(in_).substr(taken_);
        if (bytes.size() < frame_length_bytes) break;
        const std::size_t length = frame_length(bytes);
        if (length > frame_bytes_max) return broken("a frame that is too long");
        if (bytes.size() < frame_length_bytes + length) break;
        taken_ += frame_length_bytes + length;
        const auto frame = parse_frame(bytes.substr(frame_length_bytes, length));
        if (!frame && frame.error().why == std::errc::function_not_supported) continue;
        if (!frame) return broken(frame.error().doing);
        receiver_.on_frame(*frame);
    }
    forget(in_, taken_);
}

void FrameSocket::flush() {
    if (open() && unsent() > 0 && !writable_.armed() && !write()) writable_.arm();
}

void FrameSocket::on_writable(short) {
    loop_.enter();
    if (!write()) return writable_.arm();
    if (open()) receiver_.on_sent();
}

/// Whether there is nothing more to wait for. A break is seen by whoever reads, later.
bool FrameSocket::write() {
    while (unsent() > 0) {
        const auto went = ::send(socket_.get(), out_.data() + sent_, unsent(), MSG_NOSIGNAL);
        if (went < 0 && errno == EINTR) continue;
        if (went < 0 && errno == EAGAIN) {
            if (!std::exchange(waits_, true)) moved_ms_ = ipc::monotonic_ms();
            return false;
        }
        if (went < 0) {
            sent_ = out_.size();  // nobody will take it; the end of the connection is read
            break;
        }
        sent_ += static_cast<std::size_t>(went);
        went_ += static_cast<std::uint64_t>(went);
        moved_ms_ = ipc::monotonic_ms();
    }
    forget(out_, sent_);
    waits_ = false;
    return true;
}

void FrameSocket::broken(std::string_view why) {
    close();
    receiver_.on_broken(why);
}

}  // namespace worker::jobs
