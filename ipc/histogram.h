// ipc/histogram.h: how often what took how long, or was how many, in buckets that double.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "ipc/counter.h"

namespace ipc {

/// Bucket i counts values below 2^(i + FirstBit), the last one all others. One writer, any reader; the
/// buckets are not cumulative.
template <unsigned FirstBit, std::size_t Buckets>
class DoublingHistogram {
 public:
    static constexpr std::size_t buckets = Buckets;
    static constexpr unsigned first_bit = FirstBit;

    /// The bucket of a value; a shift and a bit count, no search.
    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(value >> first_bit)),
                                     buckets - 1);
    }
    /// What everything in the bucket is below; not for the last one.
    [[nodiscard]] static constexpr std::uint64_t bound(std::size_t bucket) noexcept {
        return std::uint64_t{1} << (bucket + first_bit);
    }

    void add(std::uint64_t value) noexcept {
        counts_[bucket_of(value)].add();
        sum_.add(value);
    }
    [[nodiscard]] std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket].get(); }
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.get(); }

 private:
    std::array<Counter, buckets> counts_;
    Counter sum_;
};

/// Of durations: 128 us, 256 us, ... 67 s.
class Histogram : public DoublingHistogram<7, 21> {
 public:
    [[nodiscard]] static constexpr std::uint64_t bound_us(std::size_t bucket) noexcept {
        return bound(bucket);
    }
    [[nodiscard]] std::uint64_t sum_us() const noexcept { return sum(); }
};

/// Of numbers of things: none, 1, 2 to 3, ... 4096 and more.
using SizeHistogram = DoublingHistogram<0, 14>;

}  // namespace ipc
