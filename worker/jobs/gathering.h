// worker/jobs/gathering.h: how long a batch waits for those who have just been answered.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace worker::jobs {

/// Clients that ask again as soon as they are answered fall into two halves where each batch begins when the
/// one before ends: one is stored while the other waits. On a disk that takes long for a sync, a short wait
/// after a batch joins them, and twice as many share a sync (as PostgreSQL's commit_delay has it). Nobody
/// waits where a sync takes next to no time, or where those who were answered do not come back: what did not
/// help is tried again ever more rarely.
class Gathering {
 public:
    static constexpr std::uint64_t took_least_us = 2'000;  ///< a batch that is shorter is not waited for
    static constexpr std::uint64_t share = 2;              ///< of its time: so long at most
    static constexpr std::uint64_t longest_us = 5'000;
    static constexpr unsigned rarest = 6;  ///< every 2^so many batches, at least, it is tried again

    /// A batch of `stored` took `took_us`, and `waiting` are there for the next one, which takes
    /// `most` at once.
    void begin(std::size_t stored, std::size_t waiting, std::size_t most, std::uint64_t took_us,
               std::uint64_t now_us) noexcept {
        until_us_ = 0;
        if (took_us < took_least_us) return;
        if (skip_ > 0) {
            --skip_;
            return;
        }
        wanted_ = std::min(stored + waiting, most);
        until_us_ = now_us + std::min(took_us / share, longest_us);
    }
    /// For how long these are to wait yet, in microseconds; 0: they go now.
    [[nodiscard]] std::uint64_t rest_us(std::size_t waiting, std::uint64_t now_us) noexcept {
        if (until_us_ == 0) return 0;
        if (waiting < wanted_ && now_us < until_us_) return until_us_ - now_us;
        until_us_ = 0;
        const bool helped = waiting >= wanted_ - wanted_ / 4;
        misses_ = helped ? 0 : std::min(misses_ + 1, rarest);
        skip_ = (1U << misses_) - 1;
        return 0;
    }

 private:
    std::uint64_t until_us_ = 0;  ///< CLOCK_MONOTONIC; 0: nothing is waited for
    std::size_t wanted_ = 0;
    unsigned misses_ = 0;  ///< one after another
    unsigned skip_ = 0;    ///< batches until it is tried again
};

}  // namespace worker::jobs
