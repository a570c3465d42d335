// worker/upstream/latency_quantile.h: how long the fastest 95 of 100 take, lately.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace worker::upstream {

/// A histogram with eight buckets a doubling, so that what it says is at most an eighth too long, and never
/// too short. After every `decay_samples` what was counted before weighs half. Loop thread only.
class LatencyQuantile {
 public:
    static constexpr std::uint32_t samples_min = 20;  ///< with fewer it says nothing
    static constexpr std::uint32_t decay_samples = 512;

    void add(std::uint64_t us) noexcept {
        counts_[bucket_of(us)] += 1;
        if (++samples_ % refresh_samples == 0 && samples_ >= samples_min) refresh();
        if (samples_ % decay_samples == 0)
            for (float& count : counts_) count /= 2;
    }
    /// Microseconds that at most 5 of 100 exceed; 0: too few are known. As of some samples ago.
    [[nodiscard]] std::uint64_t p95_us() const noexcept { return p95_us_; }

 private:
    static constexpr std::uint32_t refresh_samples = 4;
    static constexpr unsigned sub_bits = 3, first_bit = 6;  // 64 us, ... 2^30 us, 18 minutes
    static constexpr std::size_t buckets = (30 - first_bit) << sub_bits;

    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t us) noexcept {
        const std::uint64_t value = std::max<std::uint64_t>(us, std::uint64_t{1} << first_bit);
        const unsigned top = static_cast<unsigned>(std::bit_width(value)) - 1;
        const std::uint64_t sub = (value >> (top - sub_bits)) - (std::uint64_t{1} << sub_bits);
        return std::min<std::size_t>(((top - first_bit) << sub_bits) + static_cast<std::size_t>(sub),
                                     buckets - 1);
    }
    [[nodiscard]] static constexpr std::uint64_t bound_us(std::size_t bucket) noexcept {
        const std::uint64_t sub = (bucket & ((1u << sub_bits) - 1)) + (1u << sub_bits) + 1;
        return sub << ((bucket >> sub_bits) + first_bit - sub_bits);
    }
    void refresh() noexcept {
        float all = 0;
        for (const float count : counts_) all += count;
        float longer = 0;
        for (std::size_t bucket = buckets; bucket-- > 0;) {
            longer += counts_[bucket];
            if (longer <= all / 20) continue;
            p95_us_ = bound_us(bucket);
            return;
        }
    }

    std::array<float, buckets> counts_{};
    std::uint64_t samples_ = 0;
    std::uint64_t p95_us_ = 0;
};

}  // namespace worker::upstream
