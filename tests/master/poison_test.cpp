// tests/master/poison_test.cpp: requests that workers died of, remembered within bounds.
#include "master/poison.h"

using master::Poison;

TEST_CASE("a request is counted by its whole text", "[master]") {
    Poison poison;
    CHECK(poison.crashed("GET /a?x=1", 1000) == 1);
    CHECK(poison.crashed("GET /a?x=2", 1001) == 1);
    CHECK(poison.crashed("POST /a?x=1", 1002) == 1);
    CHECK(poison.crashed("GET /a?x=1", 1003) == 2);
    CHECK(poison.crashed("GET /a?x=1", 1004) == 3);
}

TEST_CASE("a crash without a request is nobody's", "[master]") {
    Poison poison;
    CHECK(poison.crashed("", 1) == 0);
    CHECK(poison.crashed("", 2) == 0);
}

TEST_CASE("crashes are forgotten after a while, and when there are too many", "[master]") {
    Poison poison;
    CHECK(poison.crashed("GET /a", 1) == 1);
    CHECK(poison.crashed("GET /a", 1 + Poison::memory_ms) == 2);
    CHECK(poison.crashed("GET /a", 2 + 2 * Poison::memory_ms) == 1);

    const auto now = 3 + 2 * Poison::memory_ms;
    for (std::size_t count = 0; count < Poison::requests_max; ++count)
        CHECK(poison.crashed("GET /" + std::to_string(count), now + count) == 1);
    CHECK(poison.crashed("GET /1", now + 100) == 2);
    CHECK(poison.crashed("GET /a", now + 100) == 1);  // the oldest made room
}
