#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "worker/handler/range.h"

using namespace worker::handler;

namespace {

/// The verdict in words or the ranges: "0-4 9-9".
std::string ranges(std::string_view header, std::uint64_t size) {
    std::vector<ByteRange> out{{7, 7}};  // must be overwritten
    std::string text;
    switch (parse_range(header, size, out)) {
        case RangeVerdict::whole: text = "whole"; break;
        case RangeVerdict::unsatisfiable: text = "unsatisfiable"; break;
        case RangeVerdict::partial: break;
    }
    for (const ByteRange& range : out)
        text += (text.empty() ? "" : " ") + std::to_string(range.first) + "-" + std::to_string(range.last);
    return text;
}

}  // namespace

TEST_CASE("single ranges select their bytes", "[handler][range]") {
    CHECK(ranges("bytes=0-4", 10) == "0-4");
    CHECK(ranges("bytes=5-", 10) == "5-9");
    CHECK(ranges("bytes=-3", 10) == "7-9");
    CHECK(ranges("bytes=0-", 10) == "0-9");
    CHECK(ranges("bytes=9-9", 10) == "9-9");
    CHECK(ranges("Bytes=0-0", 10) == "0-0");
    CHECK(ranges("bytes= 1-2 ", 10) == "1-2");
}

TEST_CASE("ends behind the last byte are cut", "[handler][range]") {
    CHECK(ranges("bytes=5-100", 10) == "5-9");
    CHECK(ranges("bytes=-100", 10) == "0-9");
    CHECK(ranges("bytes=5-99999999999999999999999999", 10) == "5-9");
    CHECK(ranges("bytes=-18446744073709551616", 10) == "0-9");
}

TEST_CASE("what lies outside is unsatisfiable unless something is inside", "[handler][range]") {
    CHECK(ranges("bytes=10-", 10) == "unsatisfiable");
    CHECK(ranges("bytes=10-12,20-", 10) == "unsatisfiable");
    CHECK(ranges("bytes=-0", 10) == "unsatisfiable");
    CHECK(ranges("bytes=18446744073709551615-", 10) == "unsatisfiable");
    CHECK(ranges("bytes=99999999999999999999-", 10) == "unsatisfiable");
    CHECK(ranges("bytes=99999999999999999999-99999999999999999999", 10) == "unsatisfiable");
    CHECK(ranges("bytes=10-12,0-1", 10) == "0-1");
}

TEST_CASE("an empty representation has no ranges", "[handler][range]") {
    CHECK(ranges("bytes=0-", 0) == "unsatisfiable");
    CHECK(ranges("bytes=0-0,1-2", 0) == "unsatisfiable");
    CHECK(ranges("bytes=-0", 0) == "unsatisfiable");
    CHECK(ranges("bytes=-5", 0) == "whole");
}

TEST_CASE("malformed headers and other units mean the whole", "[handler][range]") {
    for (const char* header : {"",
                               "bytes",
                               "bytes=",
                               "bytes=,",
                               "bytes=-",
                               "bytes=a-b",
                               "bytes=1",
                               "bytes=1-2-3",
                               "bytes=2-1",
                               "bytes=1 -2",
                               "bytes=1- 2",
                               "bytes=0x1-2",
                               "bytes=+1-2",
                               "bytes=--2",
                               "bytes =0-1",
                               "lines=0-1",
                               "bytes:0-1",
                               "bytes=0-1;2-3",
                               "bytes=0-1,x",
                               "bytes=0-1,2-1",
                               "bytes=\"0-1\"",
                               "byte=0-1",
                               "0-1",
                               "bytes=0-1, bytes=2-3"}) {
        CAPTURE(header);
        CHECK(ranges(header, 10) == "whole");
    }
}

TEST_CASE("several ranges keep the order they were asked for", "[handler][range]") {
    CHECK(ranges("bytes=0-0,-1", 10) == "0-0 9-9");
    CHECK(ranges("bytes=8-9, 0-1 ,4-5", 10) == "8-9 0-1 4-5");
    CHECK(ranges("bytes=,0-0,,5-5,", 10) == "0-0 5-5");
}

TEST_CASE("ranges that touch or overlap are joined where the first stood", "[handler][range]") {
    CHECK(ranges("bytes=0-1,2-3", 10) == "0-3");
    CHECK(ranges("bytes=2-3,0-1", 10) == "0-3");
    CHECK(ranges("bytes=0-4,2-6", 20) == "0-6");
    CHECK(ranges("bytes=0-1,8-9,4-4,2-7", 20) == "0-9");
    CHECK(ranges("bytes=10-11,0-1,4-5,2-3", 20) == "10-11 0-5");
    CHECK(ranges("bytes=0-1,3-4", 10) == "0-1 3-4");
    CHECK(ranges("bytes=5-5,5-5,5-5", 10) == "5-5");
}

TEST_CASE("asking for more bytes than there are means the whole", "[handler][range]") {
    CHECK(ranges("bytes=0-,0-0", 10) == "whole");
    CHECK(ranges("bytes=0-5,4-9", 10) == "whole");
    CHECK(ranges("bytes=0-4,5-9", 10) == "0-9");
    const std::uint64_t most = UINT64_MAX;
    CHECK(ranges("bytes=0-,0-", most) == "whole");
    CHECK(ranges("bytes=1-", most) == "1-18446744073709551614");
}

TEST_CASE("sixteen ranges are served, seventeen are the whole", "[handler][range]") {
    std::string header = "bytes=0-0";
    for (int i = 1; i < 16; ++i) header += "," + std::to_string(i * 10) + "-" + std::to_string(i * 10);
    std::vector<ByteRange> out;
    CHECK(parse_range(header, 1'000, out) == RangeVerdict::partial);
    CHECK(out.size() == 16);
    CHECK(parse_range(header + ",900-900", 1'000, out) == RangeVerdict::whole);
    CHECK(out.empty());
}
