// tests/ipc/keyed_hash_test.cpp: the hash is the published one, and keys of different limits differ.
#include "ipc/keyed_hash.h"

#include <set>

TEST_CASE("siphash gives the published result and those of OpenSSL", "[rate]") {
    const ipc::HashKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    std::string text;
    for (char c = 0; c < 63; ++c) text += c;
    const auto first = [&](std::size_t size) {
        return ipc::siphash(key, std::string_view(text).substr(0, size));
    };
    CHECK(first(15) == 0xa129ca6149be45e5);  // the paper's appendix A
    CHECK(first(0) == 0x726fdb47dd0e0e31);   // `openssl mac ... SIPHASH`, from here on
    CHECK(first(1) == 0x74f839c593dc67fd);
    CHECK(first(7) == 0xab0200f58b01d137);
    CHECK(first(8) == 0x93f5f5799a932462);
    CHECK(first(9) == 0x9e0082df0ba9e4b0);
    CHECK(first(16) == 0x3f2acc7f57c29bdb);
    CHECK(first(17) == 0x699ae9f52cbe4794);
    CHECK(first(63) == 0x958a324ceb064572);
}

TEST_CASE("a rate key depends on the seed, the limit and the value, and on where one ends", "[rate]") {
    std::set<std::uint64_t> keys;
    for (const std::uint64_t seed : {0u, 1u, 2u})
        for (const std::string limit : {"", "a", "ab", "abc"})
            for (const std::string value : {"", "c", "bc", "abc", "10.0.0.1"})
                keys.insert(ipc::rate_key(seed, limit, value));
    CHECK(keys.size() == 3u * 4 * 5);
    CHECK(ipc::rate_key(7, "login", "10.0.0.1") == ipc::rate_key(7, "login", "10.0.0.1"));
}
