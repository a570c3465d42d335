// worker/execution/loop.h: one event loop: its libevent base, its clock, its deadlines, its cell.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "worker/execution/clock.h"
#include "worker/execution/deadlines.h"
#include "worker/execution/stopwatch.h"

namespace worker::execution {

/// Owned by the thread that runs it; everything of it is that thread's alone, but for the cell's counters.
class Loop {
 public:
    /// `cell` must outlive the loop. A turn that takes longer than `slow_turn` is logged.
    explicit Loop(ipc::LoopCell& cell, std::chrono::milliseconds slow_turn = std::chrono::milliseconds(200));
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Turns until `stop`. One turn: wait, serve what is ready, then what was put off by `after_turn`.
    void run();
    void stop() noexcept { running_ = false; }

    /// First thing in every callback: the first of a turn reads the clock.
    void enter() noexcept {
        if (in_turn_) return;
        in_turn_ = true;
        clock_.refresh();
        turn_begun_us_ = clock_.now_us();
    }
    /// Something ran for a request, for so many ticks of a `Stopwatch`. Whatever took long moves the clock
    /// on, and is what a slow turn is blamed on: the longest of them.
    void ran(std::uint64_t ticks, std::string_view route, std::string_view method, std::string_view target) {
        if (ticks >= Stopwatch::long_ticks) ran_long(ticks, route, method, target);
    }
    /// Runs when this turn's callbacks have returned: the place to destroy what may still be on the stack.
    void after_turn(std::function<void()> work) { put_off_.push_back(std::move(work)); }

    /// Its callback is called in the next turn, with EV_TIMEOUT: after everybody else has had theirs, as
    /// libevent calls what is made active in a turn still in that turn. Once, however often it is said;
    /// whoever is called must not go before, or say so by `forget`.
    void next_turn(event& registered) { next_turn_.push_back(&registered); }
    void forget(event& registered) noexcept { std::erase(next_turn_, &registered); }
    /// Which turn this is.
    [[nodiscard]] std::uint32_t turn() const noexcept { return turn_; }

    [[nodiscard]] event_base& base() noexcept { return *base_; }
    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
    [[nodiscard]] Deadlines& deadlines() noexcept { return deadlines_; }
    [[nodiscard]] ipc::LoopCell& cell() noexcept { return cell_; }

    void arm(Deadline& deadline, std::uint64_t after_ms) noexcept {
        deadlines_.arm(deadline, clock_.now_ms() + after_ms);
    }

 private:
    /// What held up a turn, if it was a request.
    struct Blame {
        std::uint64_t ticks = 0;
        std::string route, request;
    };

    void on_tick(short what);
    void ran_long(std::uint64_t ticks, std::string_view route, std::string_view method,
                  std::string_view target);
    void end_turn();
    void tell_slow_turn(std::uint64_t us);

    ipc::LoopCell& cell_;
    ipc::EventBase base_;
    Clock clock_;
    Deadlines deadlines_;
    ipc::Event tick_;
    std::vector<std::function<void()>> put_off_, working_off_;
    std::vector<event*> next_turn_;
    std::uint32_t turn_ = 0;
    std::uint64_t slow_turn_us_;
    std::uint64_t turn_begun_us_ = 0;
    std::uint64_t slow_told_us_ = 0;  ///< when the last slow turn was logged
    std::uint64_t slow_untold_ = 0;   ///< those since
    Blame blame_;
    bool running_ = false;
    bool in_turn_ = false;
};

}  // namespace worker::execution
