// worker/listener/thread_acceptor.h: takes connections off a listener that all workers share.
#pragma once

#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "worker/listener/acceptor.h"

namespace worker::listener {

/// A thread that blocks in accept(2): of all that do, the kernel wakes exactly one for a connection, and in
/// turn, where an epoll that several share would wake them all. It hands each connection to the loop.
class ThreadAcceptor final : public Acceptor {
 public:
    /// `reception` must outlive it. Owns `socket`, which blocks.
    ThreadAcceptor(connection::Reception& reception, ipc::UniqueFd socket, std::uint32_t address);
    ~ThreadAcceptor() override;

    void stop() override;

 private:
    struct Accepted {
        ipc::UniqueFd socket;
        connection::Peer peer;
    };

    // the thread
    void run();
    [[nodiscard]] int take();
    void hand_over(ipc::UniqueFd socket, const connection::Peer& peer);
    void pause(std::chrono::milliseconds length);

    // the loop
    void on_handed_over(short what);
    void serve_all();

    connection::Reception& reception_;
    ipc::UniqueFd socket_;
    ipc::UniqueFd wake_;  ///< eventfd
    std::uint32_t address_;
    ipc::Event handed_over_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Accepted> waiting_;  ///< under the mutex; at most `waiting_max`
    std::vector<Accepted> serving_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> stopped_{false};
    std::atomic<std::uint64_t> pauses_{0};
    std::thread thread_;
};

/// Its default is to be ignored, so a late one harms nobody.
inline constexpr int interrupt_signal = SIGURG;
/// Gives the signal that interrupts a blocking accept a handler that does nothing. Once a process.
void prepare_interrupts();

}  // namespace worker::listener
