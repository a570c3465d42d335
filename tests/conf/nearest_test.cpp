#include "conf/nearest.h"

using namespace conf;

TEST_CASE("distance counts changes, additions, losses and swaps", "[conf]") {
    CHECK(distance("", "") == 0);
    CHECK(distance("", "abc") == 3);
    CHECK(distance("workers", "workers") == 0);
    CHECK(distance("wokers", "workers") == 1);
    CHECK(distance("wrokers", "workers") == 1);
    CHECK(distance("worker", "listen") > 3);
}

TEST_CASE("the nearest name is found, and none when nothing is near", "[conf]") {
    const std::vector<std::string_view> names{"workers", "accept", "model"};
    CHECK(nearest("wokers", names) == "workers");
    CHECK(nearest("acept", names) == "accept");
    CHECK(nearest("xyz", names).empty());
    CHECK(nearest(std::string(100'000, 'x'), names).empty());
    CHECK(hint("xyz", names) == "; valid: workers, accept, model");
    CHECK(hint("xyz", {}).empty());
}
