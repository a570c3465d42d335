#include "ipc/keyed_hash.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace ipc {
namespace {

static_assert(std::endian::native == std::endian::little, "words of a text are read as they stand");

/// Up to eight bytes, the first one lowest.
std::uint64_t word_of(std::string_view bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), std::min(bytes.size(), sizeof word));
    return word;
}

struct SipState {
    std::uint64_t v0, v1, v2, v3;

    explicit SipState(const HashKey& key)
        : v0(key.low ^ 0x736f6d6570736575),
          v1(key.high ^ 0x646f72616e646f6d),
          v2(key.low ^ 0x6c7967656e657261),
          v3(key.high ^ 0x7465646279746573) {}

    void round() {
        v0 += v1;
        v2 += v3;
        v1 = std::rotl(v1, 13) ^ v0;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 = std::rotl(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = std::rotl(v1, 17) ^ v2;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 = std::rotl(v2, 32);
    }
    void take(std::uint64_t word) {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
};

}  // namespace

std::uint64_t siphash(const HashKey& key, std::string_view text) noexcept {
    SipState state(key);
    const auto last = static_cast<std::uint64_t>(text.size()) << 56;
    for (; text.size() >= sizeof(std::uint64_t); text.remove_prefix(sizeof(std::uint64_t)))
        state.take(word_of(text));
    state.take(last | (text.empty() ? 0 : word_of(text)));
    state.v2 ^= 0xff;
    for (int rounds = 0; rounds < 4; ++rounds) state.round();
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

std::uint64_t rate_key(std::uint64_t seed, std::string_view limit_name, std::string_view value) noexcept {
    // The name makes half of the value's key, so no two pairs of texts are the same bytes in a row.
    return siphash({seed, siphash({seed, ~seed}, limit_name)}, value);
}

}  // namespace ipc
