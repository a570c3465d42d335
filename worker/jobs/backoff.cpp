#include "worker/jobs/backoff.h"

#include <algorithm>

namespace worker::jobs {

std::chrono::milliseconds Backoff::after(std::uint32_t attempt, std::uint64_t random) const noexcept {
    constexpr std::uint32_t doublings_max = 32;  // 2^32 ms is more than a month
    constexpr std::int64_t long_enough = std::int64_t{1} << 62;
    const std::int64_t low = std::max<std::int64_t>(0, min.count());
    const std::uint32_t doublings = std::min(attempt, doublings_max);
    const std::int64_t wide = std::max<std::int64_t>(1, low) > (long_enough >> doublings)
                                  ? long_enough
                                  : std::max<std::int64_t>(1, low) << doublings;
    const std::int64_t high = std::max(low, std::min<std::int64_t>(wide, max.count()));
    const auto span = static_cast<std::uint64_t>(high - low) + 1;
    return std::chrono::milliseconds(low + static_cast<std::int64_t>(random % span));
}

}  // namespace worker::jobs
