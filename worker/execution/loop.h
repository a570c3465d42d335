// worker/execution/loop.h: one event loop: its libevent base, its clock, its deadlines, its cell.
#pragma once

#include <event2/event.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "worker/execution/clock.h"
#include "worker/execution/deadlines.h"

namespace worker::execution {

/// Owned by the thread that runs it; everything of it is that thread's alone, but for the cell's counters.
class Loop {
 public:
    /// `cell` must outlive the loop.
    explicit Loop(ipc::LoopCell& cell);
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
    }
    /// Runs when this turn's callbacks have returned: the place to destroy what may still be on the stack.
    void after_turn(std::function<void()> work) { put_off_.push_back(std::move(work)); }

    [[nodiscard]] event_base& base() noexcept { return *base_; }
    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
    [[nodiscard]] Deadlines& deadlines() noexcept { return deadlines_; }
    [[nodiscard]] ipc::LoopCell& cell() noexcept { return cell_; }

    void arm(Deadline& deadline, std::uint64_t after_ms) noexcept {
        deadlines_.arm(deadline, clock_.now_ms() + after_ms);
    }

 private:
    void on_tick(short what);

    ipc::LoopCell& cell_;
    ipc::EventBase base_;
    Clock clock_;
    Deadlines deadlines_;
    ipc::Event tick_;
    std::vector<std::function<void()>> put_off_, working_off_;
    bool running_ = false;
    bool in_turn_ = false;
};

}  // namespace worker::execution
