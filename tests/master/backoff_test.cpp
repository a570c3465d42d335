// tests/master/backoff_test.cpp: delays grow with short lives and are forgiven by long ones.
#include "master/backoff.h"

using master::Backoff;
using namespace std::chrono_literals;

TEST_CASE("the first death costs nothing, further short lives double the delay up to its cap", "[master]") {
    Backoff backoff;
    CHECK(backoff.died(999ms) == 0ms);
    CHECK(backoff.died(std::nullopt) == 100ms);
    CHECK(backoff.died(0ms) == 200ms);
    CHECK(backoff.died(0ms) == 400ms);
    for (int death = 0; death < 5; ++death) CHECK(backoff.died(0ms) == 100ms * (8 << death));
    CHECK(backoff.died(0ms) == 25'600ms);
    for (int death = 0; death < 100'000; ++death) REQUIRE(backoff.died(0ms) <= Backoff::delay_max);
    CHECK(backoff.died(0ms) == Backoff::delay_max);
}

TEST_CASE("a middling life keeps the delay, a long one forgives", "[master]") {
    Backoff backoff;
    CHECK(backoff.died(1000ms) == 0ms);
    for (int death = 0; death < 3; ++death) CHECK(backoff.died(10ms) == (death == 0 ? 0ms : 100ms * death));
    CHECK(backoff.died(1000ms) == 200ms);
    CHECK(backoff.died(9999ms) == 200ms);
    CHECK(backoff.died(10ms) == 400ms);
    CHECK(backoff.died(10'000ms) == 0ms);
    CHECK(backoff.died(10ms) == 0ms);
    CHECK(backoff.died(10ms) == 100ms);
}
