#include <catch2/catch.hpp>

#include "tests/fuzz/http1_property.h"

TEST_CASE("HTTP/1 bytes are the same requests however they are cut", "[fuzz][http]") {
    const auto corpus = fuzz::corpus("http1_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus) fuzz::check_http1(bytes);  // aborts where it does not hold
}
