// worker/execution/clock.h: the time of this turn of the loop, read once and used by all of it.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "ipc/clock.h"
#include "worker/execution/stopwatch.h"
#include "worker/http/date.h"

namespace worker::execution {

/// Loop thread only. `refresh` costs two vDSO reads; the texts change once a second.
class Clock {
 public:
    Clock() { refresh(); }

    void refresh() noexcept {
        now_us_ = ipc::monotonic_us();
        ticks_ = Stopwatch::now();
        if (now_us_ - rated_us_ >= rated_every_us) rate();
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
        unix_ms_ = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
        if (now.tv_sec == unix_seconds_) return;
        unix_seconds_ = now.tv_sec;
        http::format_date(unix_seconds_, date_);
    }

    [[nodiscard]] std::uint64_t now_us() const noexcept { return now_us_; }  ///< CLOCK_MONOTONIC
    /// The same clock read anew: what has passed since `refresh` is told from the counter of a `Stopwatch`,
    /// which costs a third of a vDSO read. Not behind `now_us`.
    [[nodiscard]] std::uint64_t precise_us() const noexcept {
        const std::uint64_t ticks = Stopwatch::now() - ticks_;
        // Counters of two processors may differ: a step back looks like very many ticks.
        if (us_per_tick_ == 0 || ticks >= ticks_trusted) return std::max(now_us_, ipc::monotonic_us());
        return now_us_ + (ticks * us_per_tick_ >> fraction_bits);
    }
    [[nodiscard]] std::uint64_t now_ms() const noexcept { return now_us_ / 1000; }  ///< CLOCK_MONOTONIC
    [[nodiscard]] std::int64_t unix_ms() const noexcept { return unix_ms_; }
    [[nodiscard]] std::int64_t unix_seconds() const noexcept { return unix_seconds_; }
    /// IMF-fixdate of now, RFC 9110 section 5.6.7.
    [[nodiscard]] std::string_view date() const noexcept { return {date_, sizeof date_}; }

 private:
    static constexpr unsigned fraction_bits = 32;
    static constexpr std::uint64_t ticks_trusted = std::uint64_t{1} << 31;
    static constexpr std::uint64_t rated_every_us = 100'000;

    /// How long a tick is, by what the counter and the clock have gone since it was asked last.
    void rate() noexcept {
        const std::uint64_t ticks = ticks_ - rated_ticks_, us = now_us_ - rated_us_;
        const bool usable = rated_us_ != 0 && us < ticks && ticks < ticks_trusted * 1000 &&
                            us < std::uint64_t{1} << (64 - fraction_bits);
        us_per_tick_ = usable ? (us << fraction_bits) / ticks : 0;
        rated_us_ = now_us_;
        rated_ticks_ = ticks_;
    }

    std::uint64_t now_us_ = 0;
    std::uint64_t ticks_ = 0;  // at `now_us_`
    std::uint64_t rated_us_ = 0, rated_ticks_ = 0;
    std::uint64_t us_per_tick_ = 0;  // below one, in 2^-32; 0: not known
    std::int64_t unix_ms_ = 0;
    std::int64_t unix_seconds_ = -1;
    char date_[29] = {};
};

}  // namespace worker::execution
