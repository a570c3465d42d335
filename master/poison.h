// master/poison.h: remembers which requests workers died of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace master {

/// Bounded in count and in time. Pure: the times are milliseconds of CLOCK_MONOTONIC, given by the caller.
class Poison {
 public:
    static constexpr std::size_t requests_max = 64;  ///< beyond it the one seen longest ago is forgotten
    static constexpr std::uint64_t memory_ms = 600'000;

    /// A worker crashed, or was ended for being stuck, while it ran `request` (with its query: what is sent
    /// again is the same to the letter). Returns how often that has happened, with this time.
    std::uint32_t crashed(const std::string& request, std::uint64_t now);

 private:
    struct Seen {
        std::string request;
        std::uint32_t crashes = 0;
        std::uint64_t last_ms = 0;
    };

    std::vector<Seen> seen_;
};

}  // namespace master
