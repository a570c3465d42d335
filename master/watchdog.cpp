// master/watchdog.cpp: silence counts from the heartbeat or from our own last absence, whichever is later.
#include "master/watchdog.h"

#include <algorithm>

namespace master {

void Watchdog::look(std::uint64_t now) noexcept {
    if (last_look_ != 0 && now > last_look_ + gap_ms) forgiven_until_ = now;
    last_look_ = now;
}

Pulse Watchdog::judge(std::uint64_t since, std::uint64_t now) const noexcept {
    if (limit_ms_ == 0) return Pulse::alive;
    const auto from = std::max(since, forgiven_until_);
    const auto silence = now > from ? now - from : 0;
    if (silence >= std::max(limit_ms_, silent_min_ms)) return Pulse::dead;
    return silence >= std::max(limit_ms_ / 4, silent_min_ms) ? Pulse::silent : Pulse::alive;
}

}  // namespace master
