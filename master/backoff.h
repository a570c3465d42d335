// master/backoff.h: how long a slot waits before its next worker when workers keep dying in it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace master {

/// Delays 0, 100 ms, 200 ms, 400 ms ... 30 s. Pure: knows no clock and no process.
class Backoff {
 public:
    using Milliseconds = std::chrono::milliseconds;

    static constexpr Milliseconds first_delay{100};
    static constexpr Milliseconds delay_max{30'000};
    static constexpr Milliseconds short_life{1000};   ///< dying younger makes the next delay longer
    static constexpr Milliseconds long_life{10'000};  ///< dying older forgives all earlier deaths

    /// A worker died; `served` is how long after READY, none when it never was. Returns the delay.
    [[nodiscard]] Milliseconds died(std::optional<Milliseconds> served) noexcept;

 private:
    [[nodiscard]] Milliseconds delay() const noexcept;

    std::uint32_t short_lives_ = 0;  ///< in a row
};

}  // namespace master
