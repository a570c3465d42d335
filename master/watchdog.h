// master/watchdog.h: judges heartbeats, and knows when it was itself that did not run.
#pragma once

#include <chrono>
#include <cstdint>

namespace master {

enum class Pulse : std::uint8_t { alive, silent, dead };

/// Pure: the times are milliseconds of CLOCK_MONOTONIC, given by the caller.
class Watchdog {
 public:
    /// The master looks at least this often; a longer pause means that the machine or the master stood still.
    static constexpr std::uint64_t look_ms = 250;
    static constexpr std::uint64_t gap_ms = 4 * look_ms;
    static constexpr std::uint64_t silent_min_ms = 1000;

    /// A loop is dead after `limit` of silence (0: never), silent after a quarter of it, a second at least.
    explicit Watchdog(std::chrono::milliseconds limit) noexcept
        : limit_ms_(static_cast<std::uint64_t>(limit.count())) {}

    /// To be called at every look, before judging.
    void look(std::uint64_t now) noexcept;
    /// `since`: the later of READY and the last heartbeat.
    [[nodiscard]] Pulse judge(std::uint64_t since, std::uint64_t now) const noexcept;

 private:
    std::uint64_t limit_ms_;
    std::uint64_t last_look_ = 0;
    std::uint64_t forgiven_until_ = 0;  ///< silence before this is not held against anyone
};

}  // namespace master
