#include <catch2/catch.hpp>

#include "tests/fuzz/fastcgi_property.h"

TEST_CASE("every connection of the corpus keeps the properties of records", "[fuzz][fastcgi]") {
    const auto corpus = fuzz::corpus("fastcgi_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus) fuzz::check_fastcgi(bytes);  // aborts where it does not hold
}
