// ipc/keyed_hash.h: hashes whose collisions nobody can choose who does not know the key.
#pragma once

#include <cstdint>
#include <string_view>

namespace ipc {

/// Both halves random: then nobody outside can tell which texts collide.
struct HashKey {
    std::uint64_t low, high;
};

/// SipHash-2-4 (Aumasson and Bernstein, 2012); their vectors show the lowest byte of the result first.
[[nodiscard]] std::uint64_t siphash(const HashKey& key, std::string_view text) noexcept;

/// What `RateTable` and `CountTable` know `value` by under the limit of that name: equal values of different
/// limits have different keys. `seed` is random, and the same in all processes that share a table.
[[nodiscard]] std::uint64_t rate_key(std::uint64_t seed, std::string_view limit_name,
                                     std::string_view value) noexcept;

}  // namespace ipc
