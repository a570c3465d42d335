// worker/jobs/backoff.h: how long what failed waits before it is tried again.
#pragma once

#include <chrono>
#include <cstdint>

namespace worker::jobs {

/// Exponential with full jitter (Brooker, "Exponential Backoff And Jitter", 2015): after the attempt number
/// n anything from `min` to `min` times 2^n, and never beyond `max`, so that those that fail together do not
/// come back together. Pure.
struct Backoff {
    std::chrono::milliseconds min{1'000}, max{3'600'000};

    /// `attempt`: from 1. `random`: any number, all equally likely.
    [[nodiscard]] std::chrono::milliseconds after(std::uint32_t attempt, std::uint64_t random) const noexcept;
};

}  // namespace worker::jobs
