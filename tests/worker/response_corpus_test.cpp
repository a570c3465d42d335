#include <catch2/catch.hpp>

#include "tests/fuzz/response_property.h"

TEST_CASE("bytes of a peer are the same responses however they are cut", "[fuzz][response]") {
    const auto corpus = fuzz::corpus("response_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus) fuzz::check_response(bytes);  // aborts where it does not hold
}
