// master/lab/load.h: what clients ask for, and when: fixed before the first of them asks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace master::lab {

/// Clients that ask for the same thing. Each has a connection and one request at a time; a request that comes
/// when all of them are busy waits for the first that is free.
struct Stream {
    std::string name{};     ///< "light"
    std::string target{};   ///< path and query
    double per_second = 0;  ///< requests of all of its clients together
    std::uint32_t clients = 1;
    bool each_its_own = false;  ///< each client has arrivals of its own, and waits for nobody else
    bool evenly = false;        ///< one after the same time each, else at random (Poisson)
};

struct Load {
    std::vector<Stream> streams;
    double seconds = 1;

    [[nodiscard]] std::uint32_t clients() const noexcept;
};

/// One request that is to be sent.
struct Arrival {
    std::uint64_t at_us = 0;   ///< since the begin
    std::uint32_t stream = 0;  ///< in `Load::streams`
    std::uint32_t group = 0;   ///< of clients any of which may send it
};

/// Clients `first` to `first + count`, numbered over all streams.
struct Group {
    std::uint32_t stream = 0, first = 0, count = 1;
};

[[nodiscard]] std::vector<Group> groups_of(const Load& load);

/// All arrivals by time; the same for the same `seed`.
[[nodiscard]] std::vector<Arrival> schedule(const Load& load, std::uint64_t seed);

}  // namespace master::lab
