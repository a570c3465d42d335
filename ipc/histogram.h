// ipc/histogram.h: how often what took how long, in buckets that double.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ipc/counter.h"

namespace ipc {

/// Bucket i counts what took less than 2^(i+7) microseconds (128 us, 256 us, ... 67 s), the last all that
/// took longer. One writer, any reader; the buckets are not cumulative.
class Histogram {
 public:
    static constexpr std::size_t buckets = 21;
    static constexpr unsigned first_bit = 7;

    /// The bucket of a duration; a shift and a bit count, no search.
    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t us) noexcept {
        return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(us >> first_bit)), buckets - 1);
    }
    /// What everything in the bucket is shorter than, in microseconds; not for the last one.
    [[nodiscard]] static constexpr std::uint64_t bound_us(std::size_t bucket) noexcept {
        return std::uint64_t{1} << (bucket + first_bit);
    }

    void add(std::uint64_t us) noexcept {
        counts_[bucket_of(us)].add();
        sum_us_.add(us);
    }
    [[nodiscard]] std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket].get(); }
    [[nodiscard]] std::uint64_t sum_us() const noexcept { return sum_us_.get(); }

 private:
    std::array<Counter, buckets> counts_;
    Counter sum_us_;
};

}  // namespace ipc
