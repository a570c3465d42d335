// worker/execution/stopwatch.h: how long something took, at next to no cost.
#pragma once

#include <time.h>

#include <cstdint>

namespace worker::execution {

/// In ticks of the processor where it counts them (a few nanoseconds to read), else in nanoseconds. Only to
/// compare with each other and with `long_ticks`: how many there are in a second depends on the machine.
class Stopwatch {
 public:
    /// Well below a millisecond, and far more than any request takes that does not block.
    static constexpr std::uint64_t long_ticks = 500'000;

    [[nodiscard]] std::uint64_t ticks() const noexcept { return now() - begun_; }

    [[nodiscard]] static std::uint64_t now() noexcept {
#if defined(__x86_64__)
        return __builtin_ia32_rdtsc();
#else
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
               static_cast<std::uint64_t>(time.tv_nsec);
#endif
    }

 private:
    std::uint64_t begun_ = now();
};

}  // namespace worker::execution
