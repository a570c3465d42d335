// worker/dispatch/waiting_line.h: a bounded line of those who wait for a place, and no longer than they may.
#pragma once

#include <cstdint>

#include "worker/execution/deadlines.h"
#include "worker/execution/loop.h"

namespace worker::dispatch {

/// How many may wait in a line, and how long.
struct Patience {
    std::uint32_t queue = 0;
    std::uint64_t ms = 0;
};

/// Somebody who may have to wait. Leaves the line by itself when it goes.
class Waiting : public execution::Link {
 public:
    virtual ~Waiting() = default;
    /// It has waited as long as it may, and is in no line any more.
    virtual void on_late() noexcept = 0;

 private:
    friend class WaitingLine;
    std::uint64_t since_ms_ = 0;
};

/// First come, first served; but when the first has waited for half of the time it may, more come than can be
/// served, and then the newest is next: of those that are answered none has waited in vain, and whoever is
/// late would have been anyway (adaptive LIFO; Maurer, "Fail at Scale", 2015). Loop thread only; counts in
/// its cell.
class WaitingLine final : private execution::Deadline {
 public:
    /// `loop` must outlive it; `what` is a literal, for the log.
    WaitingLine(execution::Loop& loop, const Patience& patience, const char* what)
        : loop_(loop), patience_(patience), what_(what) {}
    ~WaitingLine() override;

    /// False: there is no room.
    [[nodiscard]] bool join(Waiting& one);
    /// Takes out who is next; null: nobody waits.
    [[nodiscard]] Waiting* next();
    /// Does not want to wait any more.
    void quit(Waiting& one);
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
    void on_deadline() noexcept override;
    void take_out(Waiting& one);
    [[nodiscard]] static Waiting& waiting_of(execution::Link* link) noexcept {
        return static_cast<Waiting&>(*link);
    }
    /// Refusals are told at most once a second.
    void tell_refused(const char* why);

    execution::Loop& loop_;
    const Patience patience_;
    const char* const what_;
    execution::Link line_;  ///< who has waited longest comes first
    std::uint32_t size_ = 0;
    std::uint64_t told_ms_ = 0, untold_ = 0;
};

}  // namespace worker::dispatch
