#include "worker/http/scan.h"

#include <catch2/catch.hpp>
#include <string>

using namespace worker::http;

namespace {

/// One byte at a time, which needs no proof.
template <class Is>
std::size_t plainly(const std::string& bytes, Is is) {
    std::size_t at = 0;
    while (at < bytes.size() && is(bytes[at])) ++at;
    return at;
}

}  // namespace

TEST_CASE("A scan stops where a look at each byte would", "[http][scan]") {
    // Every byte at every place, within what is looked at in one go, at its borders, and behind it.
    for (std::size_t size = 0; size <= 40; ++size) {
        for (std::size_t place = 0; place < size; ++place) {
            for (int byte = 0; byte < 256; ++byte) {
                std::string bytes(size, 'a');
                bytes[place] = static_cast<char>(byte);
                const char* const begin = bytes.data();
                const char* const end = begin + size;
                const auto token = static_cast<std::size_t>(skip_token(begin, end) - begin);
                const auto text = static_cast<std::size_t>(skip_text(begin, end) - begin);
                if (token != plainly(bytes, is_token_byte) || text != plainly(bytes, is_text))
                    FAIL("byte " << byte << " at " << place << " of " << size << ": " << token << ", "
                                 << text);
            }
        }
    }
    SUCCEED("all of them");
}

TEST_CASE("A scan of what is all of a kind goes to the end", "[http][scan]") {
    for (const auto size : std::initializer_list<std::size_t>{0, 1, 15, 16, 17, 31, 32, 33, 200}) {
        const std::string name(size, '-'), digits(size, '7'), value(size, '\xff'), tabs(size, '\t');
        CHECK(skip_token(name.data(), name.data() + size) == name.data() + size);
        CHECK(skip_token(digits.data(), digits.data() + size) == digits.data() + size);
        CHECK(skip_text(value.data(), value.data() + size) == value.data() + size);
        CHECK(skip_text(tabs.data(), tabs.data() + size) == tabs.data() + size);
    }
}
