// worker/listener/turn_acceptor.h: takes one connection, from whichever listener has one, and the next when
// told.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "ipc/event.h"
#include "ipc/seat.h"
#include "worker/connection/reception.h"
#include "worker/listener/acceptor.h"

namespace worker::listener {

/// With `processes_max` each process has one client, and the kernel's queue the others. A thread waits for
/// all listeners at once; of the processes that do, the kernel wakes one that is idle (EPOLLEXCLUSIVE,
/// epoll_ctl(2)).
class TurnAcceptor {
 public:
    /// `reception` must outlive it. Takes nothing before `next`.
    explicit TurnAcceptor(connection::Reception& reception);
    TurnAcceptor(const TurnAcceptor&) = delete;
    TurnAcceptor& operator=(const TurnAcceptor&) = delete;
    ~TurnAcceptor();

    void add(ipc::SeatListener listener);
    void release(std::uint32_t queue);
    /// There is room for one.
    void next();
    /// Takes what waits, as many as there are, then no more; listeners are let go.
    void stop();

 private:
    struct Accepted {
        ipc::UniqueFd socket;
        connection::Peer peer;
        std::uint32_t address = 0;
    };

    // the thread
    void run();
    [[nodiscard]] bool wait_for_turn();
    [[nodiscard]] std::shared_ptr<const ipc::SeatListener> find(int descriptor);
    /// errno when there was none.
    [[nodiscard]] int take(const ipc::SeatListener& from);
    void take_any();

    // the loop
    void on_accepted(short what);

    connection::Reception& reception_;
    ipc::UniqueFd ready_;        ///< epoll, of the listeners and `call_`
    ipc::UniqueFd call_;         ///< eventfd: the thread is to look up
    ipc::UniqueFd accepted_fd_;  ///< eventfd: the loop is
    ipc::Event accepted_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<const ipc::SeatListener>>
        listeners_;  ///< under the mutex, as all that follows
    std::vector<Accepted> taken_;
    bool turn_ = false;
    std::uint64_t pauses_ = 0;
    std::atomic<bool> stopping_{false}, stopped_{false};
    std::thread thread_;
};

}  // namespace worker::listener
