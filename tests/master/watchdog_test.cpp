// tests/master/watchdog_test.cpp: silence is judged, unless it was ours.
#include "master/watchdog.h"

using master::Pulse;
using master::Watchdog;
using namespace std::chrono_literals;

namespace {

/// Looks every `look_ms` from `from` to `to`.
void look_steadily(Watchdog& watchdog, std::uint64_t from, std::uint64_t to) {
    for (auto now = from; now <= to; now += Watchdog::look_ms) watchdog.look(now);
}

}  // namespace

TEST_CASE("a loop is silent after a quarter of the limit and dead after all of it", "[master]") {
    Watchdog watchdog(10s);
    look_steadily(watchdog, 1000, 20'000);
    CHECK(watchdog.judge(5000, 5000) == Pulse::alive);
    CHECK(watchdog.judge(5000, 7499) == Pulse::alive);
    CHECK(watchdog.judge(5000, 7500) == Pulse::silent);
    CHECK(watchdog.judge(5000, 14'999) == Pulse::silent);
    CHECK(watchdog.judge(5000, 15'000) == Pulse::dead);
}

TEST_CASE("no silence shorter than a second counts", "[master]") {
    Watchdog watchdog(200ms);
    look_steadily(watchdog, 1000, 3000);
    CHECK(watchdog.judge(1000, 1999) == Pulse::alive);
    CHECK(watchdog.judge(1000, 2000) == Pulse::dead);
}

TEST_CASE("a limit of 0 watches nobody", "[master]") {
    CHECK(Watchdog(0ms).judge(0, 1'000'000) == Pulse::alive);
}

TEST_CASE("a heartbeat from the future is alive", "[master]") {
    CHECK(Watchdog(10s).judge(9000, 8000) == Pulse::alive);
}

TEST_CASE("a machine that stood still makes nobody stuck", "[master]") {
    Watchdog watchdog(10s);
    look_steadily(watchdog, 1000, 5000);
    watchdog.look(65'000);  // nothing ran for a minute, the master neither
    CHECK(watchdog.judge(5000, 65'000) == Pulse::alive);
    look_steadily(watchdog, 65'250, 80'000);
    CHECK(watchdog.judge(5000, 67'499) == Pulse::alive);
    CHECK(watchdog.judge(5000, 67'500) == Pulse::silent);
    CHECK(watchdog.judge(5000, 75'000) == Pulse::dead);
}
