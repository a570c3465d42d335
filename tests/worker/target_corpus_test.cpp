#include <catch2/catch.hpp>

#include "tests/fuzz/target_property.h"

TEST_CASE("every target of the corpus keeps its property", "[fuzz][target]") {
    const auto corpus = fuzz::corpus("target_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus) fuzz::check_target(bytes);  // aborts where it does not hold
}
