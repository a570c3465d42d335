// worker/http/tries.h: whom a request was passed on to, and how each of them did.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/http/status.h"

namespace worker::http {

/// One peer that was asked for one request. Times are microseconds from when it was asked.
struct Try {
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    std::string_view peer;  ///< its address when it was asked; lives as long as its upstream
    Status status = 0;      ///< its answer's; 502 or 504 when there was none; 0: nobody waited for it
    std::uint64_t connect_us = never;   ///< until the connection stood
    std::uint64_t header_us = never;    ///< until the head of its answer was here
    std::uint64_t response_us = never;  ///< until all was over
    bool apart = false;  ///< begins another group: a part of a fan-out, a `fallback`, an error page
};

/// In the order they were asked.
using Tries = std::vector<Try>;

/// Adds the tries of one more call.
inline void append_tries(Tries& all, const Tries& more) {
    const std::size_t before = all.size();
    all.insert(all.end(), more.begin(), more.end());
    if (before > 0 && !more.empty()) all[before].apart = true;
}

}  // namespace worker::http
