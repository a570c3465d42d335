// worker/execution/standing_line.h: in what order those who wait are served, and how long each of them waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "worker/execution/deadlines.h"

namespace worker::execution {

/// In order, while there is hope for everybody. A line that has not been empty for `standing_time`, or for as
/// long as a task takes on average if that is longer, has more than can be done: then the newest is first,
/// whose client is still there, and whoever comes waits only a tenth of the time, or one task long (after
/// Maurer, "Fail at Scale", ACM Queue 13/8, 2015). Times are CLOCK_MONOTONIC in microseconds; `usual_us` is
/// how long a task takes on average, 0: none is over yet. Not for several threads at once.
class StandingLine {
 public:
    static constexpr std::chrono::milliseconds standing_time{100};
    static constexpr std::chrono::milliseconds short_time_min{5};

    /// A place in it.
    class Place : private Link {
     public:
        [[nodiscard]] bool waits() const noexcept { return linked(); }
        [[nodiscard]] std::uint64_t since_us() const noexcept { return since_us_; }

     private:
        friend class StandingLine;
        std::uint64_t since_us_ = 0, due_us_ = 0;
    };

    explicit StandingLine(std::chrono::milliseconds timeout);

    /// All who join must leave before the line goes.
    void join(Place& place, std::uint64_t now_us, std::uint64_t usual_us) noexcept;
    void leave(Place& place) noexcept;
    /// Whose turn it is; null: nobody waits.
    [[nodiscard]] Place* next(std::uint64_t now_us, std::uint64_t usual_us) noexcept;
    /// One that has waited for too long; null: nobody has.
    [[nodiscard]] Place* late(std::uint64_t now_us) noexcept;
    /// When the first of them will have; none: nobody waits.
    [[nodiscard]] std::optional<std::uint64_t> due_us() const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
    [[nodiscard]] bool standing(std::uint64_t now_us, std::uint64_t usual_us) const noexcept;

    std::uint64_t timeout_us_, short_us_;
    // It stands from some time on until it is empty: so all the brief came after all the patient.
    Link patient_, brief_;  ///< each by age, and so by deadline, nearly
    std::size_t size_ = 0;
    std::uint64_t since_us_ = 0;  ///< it has not been empty
};

}  // namespace worker::execution
