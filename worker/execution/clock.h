// worker/execution/clock.h: the time of this turn of the loop, read once and used by all of it.
#pragma once

#include <time.h>

#include <cstdint>
#include <string_view>

#include "worker/http/date.h"

namespace worker::execution {

/// Loop thread only. `refresh` costs two vDSO reads; the texts change once a second.
class Clock {
 public:
    Clock() { refresh(); }

    void refresh() noexcept {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        now_us_ = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                  static_cast<std::uint64_t>(now.tv_nsec) / 1000;
        ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
        unix_ms_ = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
        if (now.tv_sec == unix_seconds_) return;
        unix_seconds_ = now.tv_sec;
        http::format_date(unix_seconds_, date_);
    }

    [[nodiscard]] std::uint64_t now_us() const noexcept { return now_us_; }         ///< CLOCK_MONOTONIC
    [[nodiscard]] std::uint64_t now_ms() const noexcept { return now_us_ / 1000; }  ///< CLOCK_MONOTONIC
    [[nodiscard]] std::int64_t unix_ms() const noexcept { return unix_ms_; }
    [[nodiscard]] std::int64_t unix_seconds() const noexcept { return unix_seconds_; }
    /// IMF-fixdate of now, RFC 9110 section 5.6.7.
    [[nodiscard]] std::string_view date() const noexcept { return {date_, sizeof date_}; }

 private:
    std::uint64_t now_us_ = 0;
    std::int64_t unix_ms_ = 0;
    std::int64_t unix_seconds_ = -1;
    char date_[29] = {};
};

}  // namespace worker::execution
