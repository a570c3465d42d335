// tests/worker/places_test.cpp: an address keeps its place.
#include "worker/upstream/places.h"

namespace {

using Places = std::vector<ipc::NameAddress>;
using worker::upstream::place_addresses;

ipc::NameAddress v4(std::uint8_t last, std::uint32_t weight = 1) {
    return {.bytes = {10, 0, 0, last}, .port = 80, .family = 4, .backup = 0, .weight = weight};
}
const ipc::NameAddress none;

}  // namespace

TEST_CASE("addresses keep their places, whatever their order", "[dns]") {
    const auto first = place_addresses(Places(3), Places{v4(1), v4(2)}, false);
    CHECK(first.places == Places{v4(1), v4(2), none});
    CHECK(place_addresses(first.places, Places{v4(3), v4(2), v4(1)}, false).places ==
          Places{v4(1), v4(2), v4(3)});
}

TEST_CASE("who is gone leaves a place for who is new", "[dns]") {
    const Places before{v4(1), v4(2), v4(3)};
    CHECK(place_addresses(before, Places{v4(2)}, false).places == Places{none, v4(2), none});
    CHECK(place_addresses(before, Places{v4(2), v4(9)}, false).places == Places{v4(9), v4(2), none});
}

TEST_CASE("an incomplete answer takes nobody away", "[dns]") {
    const auto placed = place_addresses(Places{v4(1), none}, Places{v4(2)}, true);
    CHECK(placed.places == Places{v4(1), v4(2)});
    CHECK(placed.left_over == 0);
}

TEST_CASE("addresses beyond the places are counted", "[dns]") {
    const auto placed = place_addresses(Places(2), Places{v4(1), v4(2), v4(3), v4(4)}, false);
    CHECK(placed.places == Places{v4(1), v4(2)});
    CHECK(placed.left_over == 2);
}

TEST_CASE("another weight is no other address", "[dns]") {
    CHECK(place_addresses(Places{v4(1), v4(2)}, Places{v4(2, 7), v4(1)}, false).places ==
          Places{v4(1), v4(2, 7)});
}
