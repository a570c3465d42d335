// worker/jobs/pace.h: how many jobs a queue may begin now, where it has a rate.
#pragma once

#include <algorithm>
#include <cstdint>

namespace worker::jobs {

/// A bucket that holds what comes in a tenth of a second, and one at least: so no second sees more than a
/// tenth more than the rate. Times are microseconds of CLOCK_MONOTONIC.
class Pace {
 public:
    /// `rate`: a second; 0: any number.
    explicit Pace(std::uint32_t rate) noexcept
        : rate_(rate), most_(std::max(1.0, rate / 10.0)), left_(most_) {}

    /// At most `wanted`.
    [[nodiscard]] std::uint32_t allowed(std::uint32_t wanted, std::uint64_t now_us) noexcept {
        if (rate_ == 0) return wanted;
        fill(now_us);
        return std::min(wanted, static_cast<std::uint32_t>(left_));
    }
    void take(std::uint32_t begun) noexcept { left_ -= begun; }
    /// When there is one more; after `allowed` has said none.
    [[nodiscard]] std::uint64_t next_us(std::uint64_t now_us) const noexcept {
        if (rate_ == 0 || left_ >= 1) return now_us;
        return now_us + static_cast<std::uint64_t>((1 - left_) * 1e6 / rate_) + 1;
    }

 private:
    void fill(std::uint64_t now_us) noexcept {
        if (filled_us_ != 0) left_ += static_cast<double>(now_us - filled_us_) * rate_ / 1e6;
        left_ = std::min(left_, most_);
        filled_us_ = now_us;
    }

    double rate_, most_, left_;
    std::uint64_t filled_us_ = 0;
};

}  // namespace worker::jobs
