#include <catch2/catch.hpp>

#include "tests/fuzz/dns_message_property.h"

TEST_CASE("every answer of the corpus keeps its property", "[fuzz][dns]") {
    const auto corpus = fuzz::corpus("dns_message_fuzz");
    REQUIRE_FALSE(corpus.empty());
    for (const std::string& bytes : corpus) fuzz::check_dns_message(bytes);  // aborts where it does not hold
}
