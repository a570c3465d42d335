// worker/listener/acceptor.h: takes connections off a listener; knows no HTTP.
#pragma once

#include <chrono>
#include <cstdint>

#include "ipc/event.h"
#include "ipc/unique_fd.h"
#include "worker/connection/reception.h"

namespace worker::listener {

/// How long to leave a listener alone when there are no descriptors or memory: doubles up to a second.
class Pause {
 public:
    [[nodiscard]] std::chrono::milliseconds next() noexcept {
        const auto now = length_;
        length_ = length_ * 2 < longest ? length_ * 2 : longest;
        return now;
    }
    void over() noexcept { length_ = shortest; }

 private:
    static constexpr std::chrono::milliseconds shortest{50};
    static constexpr std::chrono::milliseconds longest{1000};
    std::chrono::milliseconds length_ = shortest;
};

/// Whether an error of accept(2) is of the one connection that failed (Linux passes on its network's
/// errors); then the next may be well.
[[nodiscard]] bool concerns_one_connection(int error) noexcept;

/// Connections that are taken at the end: as many as the largest usual queue holds.
inline constexpr int farewell_max = 4096;

class Acceptor {
 public:
    virtual ~Acceptor() = default;
    /// Takes what waits in the queue already, then no more. Descriptors are let go; the master has its own.
    virtual void stop() = 0;
};

/// On the loop, from a non-blocking listener that is ours alone or whose herd does no harm.
class LoopAcceptor final : public Acceptor {
 public:
    /// `reception` must outlive it. Owns `socket`.
    LoopAcceptor(connection::Reception& reception, ipc::UniqueFd socket, std::uint32_t address);

    void stop() override;

 private:
    enum class Took : std::uint8_t { one, none, nothing_left, no_room };

    void on_readable(short what);
    void on_pause_over(short what);
    [[nodiscard]] Took take();

    connection::Reception& reception_;
    ipc::UniqueFd socket_;
    std::uint32_t address_;
    ipc::Event readable_;
    ipc::Event pause_over_;
    Pause pause_;
};

}  // namespace worker::listener
