// worker/crew.h: all loops of a worker, on one thread or on several; seen from the one that hears the master.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "worker/dispatch/distributor.h"
#include "worker/dispatch/lobby.h"
#include "worker/execution/mailbox.h"
#include "worker/station.h"

namespace worker {

/// One loop alone is the main one too. Of several, or where one accepts for the others, each has a thread,
/// and the main one serves nobody. Main thread only.
class Crew {
 public:
    /// `house` must outlive it. Returns when all loops are there. `occupied`: see `Station::Tidings`.
    Crew(const House& house, std::function<void()> occupied);
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew();

    [[nodiscard]] execution::Loop& loop() noexcept { return *loop_; }
    /// A listener of the seat, or one that we have adopted: then a loop that moves takes it.
    void accept_from(ipc::SeatListener listener);
    void adopt(ipc::SeatListener listener);
    void release(std::uint32_t queue);
    /// Accepts no more and finishes what is there. `when_idle`: called once that is done, later.
    void drain(std::function<void()> when_idle);
    void crowd(bool on);
    /// All log lines written so far go to the writer; `done`: called then, at once or later.
    void flush(std::function<void()> done);
    [[nodiscard]] std::uint64_t connections() const noexcept { return house_.census.open(); }

 private:
    /// A loop with a thread of its own.
    struct Member {
        execution::Mailbox mailbox;
        Station* station = nullptr;  ///< its thread's; touched by what is posted to it
        std::thread thread;
    };

    void run(Member& member, std::uint32_t number, const std::function<void()>& ready);
    void place_front();
    /// Runs in the thread of each station.
    void on_all(const std::function<void(Station&)>& work);
    void on_one(std::size_t loop, std::function<void(Station&)> work);
    void look_if_idle();
    [[nodiscard]] std::size_t loop_that_moves();

    const House& house_;
    std::optional<Station> own_;           ///< the only loop
    std::optional<execution::Loop> main_;  ///< or the one of those that serves nobody
    execution::Loop* loop_ = nullptr;
    std::vector<std::unique_ptr<Member>> members_;
    std::optional<execution::Mailbox> mailbox_;  ///< to the main loop
    // With `accept = handoff`: where connections go that the main loop accepts.
    std::unique_ptr<dispatch::Distributor> distributor_;
    std::unique_ptr<dispatch::Lobby> lobby_;
    std::optional<listener::Acceptors> acceptors_;
    std::size_t last_adopter_ = 0;
    std::size_t drained_ = 0;            ///< loops that have begun to drain
    std::atomic<bool> draining_{false};  ///< known to all loops
    std::function<void()> when_idle_;
};

}  // namespace worker
