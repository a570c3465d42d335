#include "master/lab/load.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace master::lab {

std::uint32_t Load::clients() const noexcept {
    std::uint32_t all = 0;
    for (const Stream& stream : streams) all += stream.clients;
    return all;
}

std::vector<Group> groups_of(const Load& load) {
    std::vector<Group> groups;
    std::uint32_t first = 0;
    for (std::uint32_t i = 0; i < load.streams.size(); ++i) {
        const Stream& stream = load.streams[i];
        const std::uint32_t size = stream.each_its_own ? 1 : stream.clients;
        for (std::uint32_t done = 0; done < stream.clients; done += size)
            groups.push_back({i, first + done, size});
        first += stream.clients;
    }
    return groups;
}

std::vector<Arrival> schedule(const Load& load, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> uniform(0, 1);
    std::vector<Arrival> all;
    const auto groups = groups_of(load);
    for (std::uint32_t group = 0; group < groups.size(); ++group) {
        const Stream& stream = load.streams[groups[group].stream];
        const double rate = stream.per_second * groups[group].count / stream.clients;
        if (rate <= 0) continue;
        const auto pause = [&] { return stream.evenly ? 1 / rate : -std::log(1 - uniform(random)) / rate; };
        for (double at = pause() * uniform(random); at < load.seconds; at += pause())
            all.push_back({static_cast<std::uint64_t>(at * 1e6), groups[group].stream, group});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Arrival& a, const Arrival& b) { return a.at_us < b.at_us; });
    return all;
}

}  // namespace master::lab
