// ipc/clock.h: the one clock that no administrator sets.
#pragma once

#include <time.h>

#include <cstdint>

namespace ipc {

/// Milliseconds of CLOCK_MONOTONIC: the same for all processes of a machine.
inline std::uint64_t monotonic_ms() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
           static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

inline std::uint64_t monotonic_us() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace ipc
