// tests/master/lab/load_test.cpp: arrivals are fixed, as many as were wanted, and belong to who is to send
// them.
#include "master/lab/load.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "conf/load.h"
#include "master/lab/trials.h"

using namespace master::lab;

namespace {

Load one(Stream stream, double seconds) { return {{std::move(stream)}, seconds}; }

}  // namespace

TEST_CASE("the same seed gives the same arrivals, in order of time and within it", "[lab]") {
    const Load load{{{.name = "a", .target = "/a", .per_second = 100, .clients = 4},
                     {.name = "b", .target = "/b", .per_second = 10, .clients = 1, .evenly = true}},
                    5};
    const auto first = schedule(load, 1), again = schedule(load, 1), other = schedule(load, 2);
    const auto times = [](const std::vector<Arrival>& all) {
        std::vector<std::uint64_t> at;
        for (const Arrival& arrival : all) at.push_back(arrival.at_us);
        return at;
    };
    CHECK(times(first) == times(again));
    CHECK(times(first) != times(other));
    CHECK(std::is_sorted(first.begin(), first.end(),
                         [](const Arrival& a, const Arrival& b) { return a.at_us < b.at_us; }));
    CHECK(first.back().at_us < 5'000'000);
    const auto of_b =
        std::count_if(first.begin(), first.end(), [](const Arrival& one) { return one.stream == 1; });
    CHECK((of_b == 50 || of_b == 49));
    CHECK(first.size() == Approx(550).epsilon(0.15));  // 500 at random: five deviations
}

TEST_CASE("arrivals at random are not evenly spread, those that come evenly are", "[lab]") {
    const auto pauses = [](bool evenly) {
        const auto all =
            schedule(one({.target = "/", .per_second = 1000, .clients = 8, .evenly = evenly}, 2), 7);
        std::vector<std::uint64_t> between;
        for (std::size_t i = 1; i < all.size(); ++i) between.push_back(all[i].at_us - all[i - 1].at_us);
        std::sort(between.begin(), between.end());
        return between;
    };
    CHECK(pauses(true).front() + 1 >= 1000);
    CHECK(pauses(true).back() <= 1001);
    CHECK(pauses(false).front() < 50);
    CHECK(pauses(false).back() > 3000);
}

TEST_CASE("clients send together, or each what is its own", "[lab]") {
    const auto together = one({.target = "/", .per_second = 90, .clients = 3}, 4);
    CHECK(groups_of(together).size() == 1);
    const auto each = one({.target = "/", .per_second = 90, .clients = 3, .each_its_own = true}, 4);
    const auto groups = groups_of(each);
    REQUIRE(groups.size() == 3);
    CHECK((groups[2].first == 2 && groups[2].count == 1));
    std::map<std::uint32_t, int> counts;
    for (const Arrival& arrival : schedule(each, 3)) ++counts[arrival.group];
    REQUIRE(counts.size() == 3);
    for (const auto& [group, count] : counts) CHECK(count == Approx(120).epsilon(0.5));
    CHECK(each.clients() == 3);
    CHECK(schedule(one({.target = "/", .per_second = 0}, 4), 1).empty());
}

TEST_CASE("all trials take about the time that was asked for, and each has a name of its own", "[lab]") {
    const double seconds = GENERATE(60.0, 120.0, 600.0);
    double sum = 0;
    std::set<std::string> keys;
    for (const Trial& trial : trials({.seconds = seconds, .cpus = 2})) {
        CHECK(keys.insert(trial.key).second);
        sum += trial.load.seconds + trial_overhead_seconds;
    }
    CHECK(sum == Approx(seconds).epsilon(0.05));
}

TEST_CASE("a quick lab has every kind of trial, and is short", "[lab]") {
    double sum = 0;
    std::set<std::string> kinds;
    for (const Trial& trial : trials({.quick = true, .cpus = 2})) {
        kinds.insert(trial.key.substr(0, trial.key.find('/')));
        sum += trial.load.seconds;
    }
    CHECK(kinds == std::set<std::string>{"heavy", "load", "scale", "skew", "freeze", "tiny"});
    CHECK(sum < 20);
}

TEST_CASE("the configuration of every trial loads, and every target has its route", "[lab]") {
    for (const std::uint32_t cpus : {1u, 2u, 64u})
        for (const Trial& trial : trials({.cpus = cpus})) {
            const auto loaded = conf::load_text(configuration(trial.setting, "/tmp/x", 8080), "lab");
            CAPTURE(trial.key, configuration(trial.setting, "/tmp/x", 8080));
            REQUIRE(loaded);
            for (const Stream& stream : trial.load.streams)
                CHECK(std::any_of(loaded->config.routes.begin(), loaded->config.routes.end(),
                                  [&](const auto& route) { return route.path.text == stream.target; }));
        }
}
