#include <catch2/catch.hpp>

#include "tests/fuzz/range_property.h"

TEST_CASE("every range and condition of the corpus keeps its property", "[fuzz][range]") {
    const auto corpus = fuzz::corpus("range_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus)
        fuzz::check_range_and_conditions(bytes);  // aborts where it does not hold
}
