#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "worker/http/date.h"

using worker::http::format_date;
using worker::http::parse_date;

namespace {

constexpr std::int64_t now = 1'767'225'600;  // Thu, 01 Jan 2026 00:00:00 GMT

std::string formatted(std::int64_t at) {
    char out[29];
    format_date(at, out);
    return {out, sizeof out};
}

}  // namespace

TEST_CASE("the three formats of a date mean the same second", "[http][date]") {
    CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784'111'777);
    CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784'111'777);
    CHECK(parse_date("Sun Nov  6 08:49:37 1994") == 784'111'777);
    CHECK(parse_date("Wed Nov 16 08:49:37 1994") == 784'111'777 + 10 * 86'400);
}

TEST_CASE("a date cut short or prolonged is none", "[http][date]") {
    for (const std::string_view whole :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            CAPTURE(whole, size);
            CHECK_FALSE(parse_date(whole.substr(0, size)));
            CHECK_FALSE(parse_date(whole.substr(whole.size() - size)));
        }
        CHECK_FALSE(parse_date(std::string(whole) + " "));
        CHECK_FALSE(parse_date(" " + std::string(whole)));
    }
}

TEST_CASE("a date with any byte replaced by a control character is none", "[http][date]") {
    for (const std::string_view whole :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
        for (std::size_t i = 0; i < whole.size(); ++i) {
            std::string broken(whole);
            broken[i] = '\x01';
            CAPTURE(whole, i);
            CHECK_FALSE(parse_date(broken));
        }
    }
}

TEST_CASE("dates that no calendar has are refused", "[http][date]") {
    CHECK_FALSE(parse_date("Tue, 31 Apr 2024 00:00:00 GMT"));
    CHECK_FALSE(parse_date("Wed, 29 Feb 2023 00:00:00 GMT"));
    CHECK_FALSE(parse_date("Wed, 00 Jan 2023 00:00:00 GMT"));
    CHECK_FALSE(parse_date("Wed, 01 Jan 2023 24:00:00 GMT"));
    CHECK_FALSE(parse_date("Wed, 01 Jan 2023 00:60:00 GMT"));
    CHECK_FALSE(parse_date("Wed, 01 Jan 2023 00:00:61 GMT"));
    CHECK(parse_date("Thu, 29 Feb 2024 00:00:00 GMT") == 1'709'164'800);
}

TEST_CASE("names of days and months are exact and the zone is GMT", "[http][date]") {
    CHECK_FALSE(parse_date("sun, 06 Nov 1994 08:49:37 GMT"));
    CHECK_FALSE(parse_date("Sun, 06 nov 1994 08:49:37 GMT"));
    CHECK_FALSE(parse_date("Sun, 06 Nov 1994 08:49:37 UTC"));
    CHECK_FALSE(parse_date("Sun, 06 Nov 1994 08:49:37 +0000"));
    CHECK_FALSE(parse_date("Xyz, 06 Nov 1994 08:49:37 GMT"));
    CHECK_FALSE(parse_date("Sun, 6 Nov 1994 08:49:37 GMT"));
    CHECK_FALSE(parse_date("Sun Nov 6 08:49:37 1994 GMT!"));
    CHECK_FALSE(parse_date("Sun, 06 Nov +994 08:49:37 GMT"));
}

TEST_CASE("a leap second is the first second of the next minute", "[http][date]") {
    CHECK(parse_date("Sat, 31 Dec 2016 23:59:60 GMT") == parse_date("Sun, 01 Jan 2017 00:00:00 GMT"));
}

TEST_CASE("a year of two digits is never more than fifty years ahead", "[http][date]") {
    CHECK(parse_date("Thursday, 01-Jan-26 00:00:00 GMT", now) == now);
    CHECK(parse_date("Wednesday, 01-Jan-76 00:00:00 GMT", now) ==
          parse_date("Wed, 01 Jan 2076 00:00:00 GMT"));
    CHECK(parse_date("Saturday, 01-Jan-77 00:00:00 GMT", now) == parse_date("Sat, 01 Jan 1977 00:00:00 GMT"));
    CHECK(parse_date("Friday, 01-Jan-99 00:00:00 GMT", now) == parse_date("Fri, 01 Jan 1999 00:00:00 GMT"));
    const std::int64_t in_2080 = *parse_date("Mon, 01 Jan 2080 00:00:00 GMT");
    CHECK(parse_date("Friday, 01-Jan-10 00:00:00 GMT", in_2080) ==
          parse_date("Fri, 01 Jan 2110 00:00:00 GMT"));
}

TEST_CASE("a date is formatted as IMF-fixdate", "[http][date]") {
    CHECK(formatted(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(formatted(784'111'777) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(formatted(-1) == "Wed, 31 Dec 1969 23:59:59 GMT");
    CHECK(formatted(now) == "Thu, 01 Jan 2026 00:00:00 GMT");
}

TEST_CASE("formatting stays within years of four digits", "[http][date]") {
    CHECK(formatted(INT64_MAX) == "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK(formatted(INT64_MIN) == "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST_CASE("what is formatted parses to the same second", "[http][date]") {
    for (std::int64_t at = -3'000'000'000; at < 5'000'000'000; at += 7'654'321) {
        CAPTURE(at);
        CHECK(parse_date(formatted(at)) == at);
    }
}
