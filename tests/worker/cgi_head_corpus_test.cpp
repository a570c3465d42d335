#include <catch2/catch.hpp>

#include "tests/fuzz/cgi_head_property.h"

TEST_CASE("every program's head of the corpus keeps its properties", "[fuzz][cgi]") {
    const auto corpus = fuzz::corpus("cgi_head_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus) fuzz::check_cgi_head(bytes);  // aborts where it does not hold
}
