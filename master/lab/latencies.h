// master/lab/latencies.h: how often what took how long, precise to a hundredth over the whole range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace master::lab {

/// Microseconds in buckets of which 64 to 128 share each power of two (after Tene's HdrHistogram): whatever
/// is read is at most 1/64 above what was written. Grows with the largest; up to a year.
class Latencies {
 public:
    void add(std::uint64_t us);
    void add(const Latencies& others);

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t max_us() const noexcept { return max_us_; }
    [[nodiscard]] double mean_us() const noexcept;
    /// What a share of `q`, 0 to 1, took at most; 0 when there is nothing.
    [[nodiscard]] std::uint64_t quantile_us(double q) const noexcept;

    [[nodiscard]] static std::size_t bucket_of(std::uint64_t us) noexcept;
    /// The largest that is counted there.
    [[nodiscard]] static std::uint64_t bound_us(std::size_t bucket) noexcept;

 private:
    std::vector<std::uint64_t> counts_;
    std::uint64_t count_ = 0, sum_us_ = 0, max_us_ = 0;
};

}  // namespace master::lab
