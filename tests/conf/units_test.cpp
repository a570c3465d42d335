#include "conf/units.h"

#include <limits>

using namespace conf;
using namespace std::chrono_literals;

namespace {
constexpr auto most = std::numeric_limits<std::uint64_t>::max();
}

TEST_CASE("a size has its unit, and bytes without one", "[conf]") {
    CHECK(parse_size("0", 0, most) == 0u);
    CHECK(parse_size("17", 0, most) == 17u);
    CHECK(parse_size("32k", 0, most) == 32u * 1024);
    CHECK(parse_size("1M", 0, most) == 1024u * 1024);
    CHECK(parse_size("2g", 0, most) == 2ull << 30);
}

TEST_CASE("a time has its unit, and seconds without one", "[conf]") {
    CHECK(parse_time("0", 0ms, 24h) == 0ms);
    CHECK(parse_time("5", 0ms, 24h) == 5s);
    CHECK(parse_time("250ms", 0ms, 24h) == 250ms);
    CHECK(parse_time("2m", 0ms, 24h) == 2min);
    CHECK(parse_time("3h", 0ms, 24h) == 3h);
    CHECK(parse_time("1d", 0ms, 24h) == 24h);
}

TEST_CASE("what is not a number, a size or a time is refused", "[conf]") {
    for (const std::string text : {"", " ", "-1", "+1", "1.5", "0x10", "k", "1 k", "1kb", "1kk", "1e3", "ms",
                                   "18446744073709551616", "1\n"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_number(text, 0, most));
        CHECK_FALSE(parse_size(text, 0, most));
        CHECK_FALSE(parse_time(text, 0ms, Milliseconds::max()));
    }
    CHECK_FALSE(parse_number("1k", 0, most));
    CHECK_FALSE(parse_time("1k", 0ms, 24h));
    CHECK_FALSE(parse_size("1s", 0, most));
}

TEST_CASE("what overflows in its unit is refused", "[conf]") {
    CHECK_FALSE(parse_size("17179869184g", 0, most));
    CHECK(parse_size("17179869183g", 0, most) == 17179869183ull << 30);
    CHECK_FALSE(parse_time("213503982335d", 0ms, Milliseconds::max()));
    CHECK_FALSE(parse_time("18446744073709551615", 0ms, Milliseconds::max()));
}

TEST_CASE("bounds are part of what is allowed", "[conf]") {
    CHECK(parse_number("1", 1, 256));
    CHECK(parse_number("256", 1, 256));
    CHECK_FALSE(parse_number("0", 1, 256));
    CHECK_FALSE(parse_number("257", 1, 256));
    CHECK(parse_number("http", 1, 65535).error() == "\"http\" is not a number, 1 to 65535");
}

TEST_CASE("sizes and times print in the largest unit that is exact", "[conf]") {
    CHECK(print_size(0) == "0");
    CHECK(print_size(1023) == "1023");
    CHECK(print_size(32 << 10) == "32k");
    CHECK(print_size(3ull << 30) == "3g");
    CHECK(print_time(0ms) == "0");
    CHECK(print_time(1500ms) == "1500ms");
    CHECK(print_time(90s) == "90s");
    CHECK(print_time(48h) == "2d");
    for (std::uint64_t i = 0; i < 5000; i += 7) {
        CHECK(parse_size(print_size(i * 512), 0, most) == i * 512);
        const Milliseconds time(static_cast<Milliseconds::rep>(i * 500));
        CHECK(parse_time(print_time(time), 0ms, 24h * 365) == time);
    }
}
