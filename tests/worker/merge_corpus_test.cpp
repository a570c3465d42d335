#include <catch2/catch.hpp>

#include "tests/fuzz/merge_property.h"

TEST_CASE("every fan-out of the corpus keeps its property", "[fuzz][merge]") {
    const auto corpus = fuzz::corpus("merge_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus) fuzz::check_merge(bytes);  // aborts where it does not hold
}
