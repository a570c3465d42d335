// tests/worker/health_count_test.cpp: how many checks in a row it takes.
#include "worker/upstream/health_count.h"

#include <string_view>

using ipc::Health;
using worker::upstream::HealthCount;

namespace {

/// '+' passed, '-' failed; the state after all of them.
Health after(HealthCount count, std::string_view checks) {
    for (const char check : checks) count.add(check == '+');
    return count.state();
}

}  // namespace

TEST_CASE("only failures in a row make a peer down", "[health]") {
    const HealthCount up(2, 3, Health::up);
    CHECK(after(up, "--") == Health::up);
    CHECK(after(up, "---") == Health::down);
    CHECK(after(up, "--+--") == Health::up);
    CHECK(after(up, "--+---") == Health::down);
    CHECK(after(HealthCount(2, 1, Health::up), "-") == Health::down);
}

TEST_CASE("only passes in a row make a peer up that was down", "[health]") {
    const HealthCount down(2, 3, Health::down);
    CHECK(after(down, "+") == Health::down);
    CHECK(after(down, "++") == Health::up);
    CHECK(after(down, "+-+-+-") == Health::down);
    CHECK(after(HealthCount(1, 3, Health::down), "+") == Health::up);
}

TEST_CASE("of an unknown peer the first pass says that it is up", "[health]") {
    const HealthCount unknown(5, 3, Health::unknown);
    CHECK(after(unknown, "") == Health::unknown);
    CHECK(after(unknown, "+") == Health::up);
    CHECK(after(unknown, "--") == Health::unknown);
    CHECK(after(unknown, "--+") == Health::up);
    CHECK(after(unknown, "---") == Health::down);
    CHECK(after(unknown, "---+") == Health::down);
}

TEST_CASE("checks in a row are counted, whatever the state", "[health]") {
    HealthCount count(2, 3, Health::up);
    for (std::uint32_t failed = 1; failed < 10; ++failed) {
        count.add(false);
        CHECK(count.in_row() == failed);
    }
    count.add(true);
    CHECK(count.in_row() == 1);
}
