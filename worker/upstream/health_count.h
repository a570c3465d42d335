// worker/upstream/health_count.h: how many checks in a row make a peer up, or down.
#pragma once

#include <cstdint>

#include "ipc/health.h"

namespace worker::upstream {

/// Pure: knows no clock and no socket.
class HealthCount {
 public:
    /// Goes on from `state`, whoever found that out.
    HealthCount(std::uint32_t rise, std::uint32_t fall, ipc::Health state) noexcept
        : rise_(rise), fall_(fall), state_(state) {}

    /// The state with one more check. A peer of which nothing is known counts as up already: one check that
    /// passes is enough to say so, and `fall` that fail make it down.
    ipc::Health add(bool passed) noexcept {
        in_row_ = passed == last_passed_ ? in_row_ + 1 : 1;
        last_passed_ = passed;
        if (passed && (state_ == ipc::Health::unknown || in_row_ >= rise_)) state_ = ipc::Health::up;
        if (!passed && in_row_ >= fall_) state_ = ipc::Health::down;
        return state_;
    }
    [[nodiscard]] ipc::Health state() const noexcept { return state_; }
    /// Checks in a row that ended as the last one.
    [[nodiscard]] std::uint32_t in_row() const noexcept { return in_row_; }

 private:
    std::uint32_t rise_, fall_;
    ipc::Health state_;
    bool last_passed_ = false;
    std::uint32_t in_row_ = 0;
};

}  // namespace worker::upstream
