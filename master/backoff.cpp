// master/backoff.cpp: the first short life costs nothing, each further one doubles the delay.
#include "master/backoff.h"

#include <algorithm>

namespace master {

Backoff::Milliseconds Backoff::died(std::optional<Milliseconds> served) noexcept {
    if (served && *served >= long_life)
        short_lives_ = 0;
    else if (!served || *served < short_life)
        ++short_lives_;
    return delay();
}

Backoff::Milliseconds Backoff::delay() const noexcept {
    if (short_lives_ < 2) return Milliseconds{0};
    const auto doublings = std::min<std::uint32_t>(short_lives_ - 2, 16);
    return std::min(delay_max, first_delay * (1u << doublings));
}

}  // namespace master
