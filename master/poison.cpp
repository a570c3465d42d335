// master/poison.cpp: a short list, looked through at each crash.
#include "master/poison.h"

#include <algorithm>

namespace master {

std::uint32_t Poison::crashed(const std::string& request, std::uint64_t now) {
    if (request.empty()) return 0;
    std::erase_if(seen_, [&](const Seen& seen) { return now - seen.last_ms > memory_ms; });
    auto found =
        std::find_if(seen_.begin(), seen_.end(), [&](const Seen& seen) { return seen.request == request; });
    if (found == seen_.end()) {
        if (seen_.size() >= requests_max)
            seen_.erase(std::min_element(seen_.begin(), seen_.end(), [](const Seen& one, const Seen& other) {
                return one.last_ms < other.last_ms;
            }));
        found = seen_.insert(seen_.end(), Seen{request});
    }
    found->last_ms = now;
    return ++found->crashes;
}

}  // namespace master
