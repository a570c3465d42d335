// worker/observe/log_clock.h: the time as log lines write it, formatted once a second.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace worker::observe {

/// The time of the loop's turn and who writes. One per loop; its views live until the next `update`.
class LogClock {
 public:
    LogClock(int worker, int pid) noexcept : worker_(worker), pid_(pid) { format(); }

    /// Milliseconds of CLOCK_REALTIME. Costs nothing within the same second.
    void update(std::int64_t unix_ms) noexcept;

    /// "20/Nov/2026:23:14:00 +0000", in the machine's time zone.
    [[nodiscard]] std::string_view local() const noexcept { return {local_.data(), local_.size()}; }
    /// "2026-11-20T23:14:00+00:00", the same.
    [[nodiscard]] std::string_view iso8601() const noexcept { return {iso8601_.data(), iso8601_.size()}; }
    [[nodiscard]] std::uint64_t unix_ms() const noexcept { return unix_ms_; }
    [[nodiscard]] int worker() const noexcept { return worker_; }  ///< its slot
    [[nodiscard]] int pid() const noexcept { return pid_; }

 private:
    void format() noexcept;

    int worker_;
    int pid_;
    std::uint64_t unix_ms_ = 0;
    std::array<char, 26> local_{};
    std::array<char, 25> iso8601_{};
};

}  // namespace worker::observe
