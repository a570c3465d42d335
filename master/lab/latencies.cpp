#include "master/lab/latencies.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace master::lab {
namespace {

constexpr unsigned precise_bits = 7;  // of each number, from its first one on
constexpr std::uint64_t half = 1u << (precise_bits - 1);
constexpr std::uint64_t longest_us = 366ull * 24 * 3600 * 1'000'000;

}  // namespace

std::size_t Latencies::bucket_of(std::uint64_t us) noexcept {
    const auto bits = static_cast<unsigned>(std::bit_width(us));
    if (bits <= precise_bits) return us;  // each its own
    const unsigned cut = bits - precise_bits;
    return static_cast<std::size_t>((us >> cut) + cut * half);
}

std::uint64_t Latencies::bound_us(std::size_t bucket) noexcept {
    if (bucket < 2 * half) return bucket;
    const std::size_t cut = bucket / half - 1;
    const std::uint64_t kept = bucket - cut * half;
    return ((kept + 1) << cut) - 1;
}

void Latencies::add(std::uint64_t us) {
    us = std::min(us, longest_us);
    const auto bucket = bucket_of(us);
    if (bucket >= counts_.size()) counts_.resize(bucket + 1);
    ++counts_[bucket];
    ++count_;
    sum_us_ += us;
    max_us_ = std::max(max_us_, us);
}

void Latencies::add(const Latencies& others) {
    if (others.counts_.size() > counts_.size()) counts_.resize(others.counts_.size());
    for (std::size_t i = 0; i < others.counts_.size(); ++i) counts_[i] += others.counts_[i];
    count_ += others.count_;
    sum_us_ += others.sum_us_;
    max_us_ = std::max(max_us_, others.max_us_);
}

double Latencies::mean_us() const noexcept {
    return count_ == 0 ? 0 : static_cast<double>(sum_us_) / static_cast<double>(count_);
}

std::uint64_t Latencies::quantile_us(double q) const noexcept {
    if (count_ == 0) return 0;
    const auto rank =
        std::clamp<double>(std::ceil(q * static_cast<double>(count_)), 1, static_cast<double>(count_));
    double seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
        seen += static_cast<double>(counts_[bucket]);
        if (seen >= rank) return std::min(bound_us(bucket), max_us_);
    }
    return max_us_;
}

}  // namespace master::lab
