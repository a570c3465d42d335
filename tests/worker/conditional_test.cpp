#include <catch2/catch.hpp>
#include <string>

#include "worker/handler/conditional.h"

using namespace worker::handler;

namespace {

const char* const before = "Sun, 06 Nov 1994 08:49:36 GMT";
const char* const exactly = "Sun, 06 Nov 1994 08:49:37 GMT";
const char* const after = "Sun, 06 Nov 1994 08:49:38 GMT";
const Validators strong{.etag = "\"abc\"", .weak = false, .modified = 784'111'777, .now = 784'111'977};
const Validators weak{.etag = "\"abc\"", .weak = true, .modified = 784'111'777, .now = 784'111'977};
const Validators untagged{.etag = "", .weak = false, .modified = 784'111'777, .now = 784'111'977};

Conditions if_match(std::string_view value) {
    Conditions conditions;
    conditions.if_match = value;
    return conditions;
}

Conditions if_none_match(std::string_view value) {
    Conditions conditions;
    conditions.if_none_match = value;
    return conditions;
}

Conditions dates(std::optional<std::string_view> modified_since,
                 std::optional<std::string_view> unmodified_since) {
    Conditions conditions;
    conditions.if_modified_since = modified_since;
    conditions.if_unmodified_since = unmodified_since;
    return conditions;
}

}  // namespace

TEST_CASE("without conditions the request proceeds", "[handler][conditional]") {
    CHECK_FALSE(Conditions().any());
    CHECK(evaluate(Conditions(), strong, true) == Verdict::proceed);
}

TEST_CASE("If-Match wants the same strong tag", "[handler][conditional]") {
    for (const char* value :
         {"\"abc\"", "*", " * ", "\"x\", \"abc\"", "\"abc\",\"x\"", ",\"abc\",", "\"abc\" , W/\"abc\""}) {
        CAPTURE(value);
        CHECK(evaluate(if_match(value), strong, true) == Verdict::proceed);
        CHECK(evaluate(if_match(value), strong, false) == Verdict::proceed);
    }
    for (const char* value : {"\"ABC\"", "W/\"abc\"", "\"x\"", "", ",", "abc", "\"abc", "*x", "\"\""}) {
        CAPTURE(value);
        CHECK(evaluate(if_match(value), strong, true) == Verdict::precondition_failed);
    }
    CHECK(evaluate(if_match("\"abc\""), weak, true) == Verdict::precondition_failed);
    CHECK(evaluate(if_match("\"\""), untagged, true) == Verdict::precondition_failed);
    CHECK(evaluate(if_match("*"), untagged, true) == Verdict::proceed);
}

TEST_CASE("If-None-Match compares weakly", "[handler][conditional]") {
    for (const char* value : {"\"abc\"", "W/\"abc\"", "*", "\"x\", W/\"y\",\t\"abc\""}) {
        CAPTURE(value);
        CHECK(evaluate(if_none_match(value), strong, true) == Verdict::not_modified);
        CHECK(evaluate(if_none_match(value), weak, true) == Verdict::not_modified);
        CHECK(evaluate(if_none_match(value), strong, false) == Verdict::precondition_failed);
    }
    for (const char* value : {"\"abd\"", "w/\"abc\"", "abc", "", "W/", "W/abc"}) {
        CAPTURE(value);
        CHECK(evaluate(if_none_match(value), strong, true) == Verdict::proceed);
    }
}

TEST_CASE("a list that is malformed anywhere matches nothing", "[handler][conditional]") {
    for (const char* value : {"\"abc\" \"x\"", "\"abc\"x", "\"abc\", x", "\"abc\", \"x", "\"abc\", W/",
                              "\"abc\", \"a b\"", "\"abc\", *", "*, \"abc\"", "\"abc\";", "\"x\" \"abc\"",
                              "\"abc\", \"\x01\"", "\"abc\", \"\x7f\"", "\"abc\",w/\"x\""}) {
        CAPTURE(value);
        CHECK(evaluate(if_none_match(value), strong, true) == Verdict::proceed);
        CHECK(evaluate(if_match(value), strong, true) == Verdict::precondition_failed);
    }
}

TEST_CASE("a comma or a backslash in a tag is part of it", "[handler][conditional]") {
    const Validators odd{.etag = "\"a,\\\"", .weak = false, .modified = 0, .now = 10};
    CHECK(evaluate(if_none_match("\"x\", \"a,\\\""), odd, true) == Verdict::not_modified);
}

TEST_CASE("If-Modified-Since is for GET and HEAD", "[handler][conditional]") {
    CHECK(evaluate(dates(before, {}), strong, true) == Verdict::proceed);
    CHECK(evaluate(dates(exactly, {}), strong, true) == Verdict::not_modified);
    CHECK(evaluate(dates(after, {}), strong, true) == Verdict::not_modified);
    CHECK(evaluate(dates(exactly, {}), strong, false) == Verdict::proceed);
}

TEST_CASE("If-Unmodified-Since fails what is newer", "[handler][conditional]") {
    CHECK(evaluate(dates({}, before), strong, true) == Verdict::precondition_failed);
    CHECK(evaluate(dates({}, exactly), strong, true) == Verdict::proceed);
    CHECK(evaluate(dates({}, after), strong, false) == Verdict::proceed);
}

TEST_CASE("dates that are none are ignored", "[handler][conditional]") {
    for (const char* date : {"", "yesterday", "0", "Sun, 06 Nov 1994"}) {
        CAPTURE(date);
        CHECK(evaluate(dates(date, {}), strong, true) == Verdict::proceed);
        CHECK(evaluate(dates({}, date), strong, true) == Verdict::proceed);
    }
}

TEST_CASE("entity tags go before dates, and If-Match before If-None-Match", "[handler][conditional]") {
    Conditions all = if_match("\"abc\"");
    all.if_unmodified_since = before;  // not looked at
    CHECK(evaluate(all, strong, true) == Verdict::proceed);
    all.if_none_match = "\"x\"";
    all.if_modified_since = after;  // not looked at
    CHECK(evaluate(all, strong, true) == Verdict::proceed);
    all.if_none_match = "\"abc\"";
    CHECK(evaluate(all, strong, true) == Verdict::not_modified);
    all.if_match = "\"x\"";
    CHECK(evaluate(all, strong, true) == Verdict::precondition_failed);

    Conditions malformed = if_none_match("junk");
    malformed.if_modified_since = after;
    CHECK(evaluate(malformed, strong, true) == Verdict::proceed);
    CHECK(evaluate(dates(after, before), strong, true) == Verdict::precondition_failed);
}

TEST_CASE("If-Range wants the same strong tag", "[handler][conditional]") {
    CHECK(if_range_holds("\"abc\"", strong));
    CHECK(if_range_holds(" \"abc\" ", strong));
    for (const char* value : {"W/\"abc\"", "\"x\"", "\"abc\", \"x\"", "\"abc", "*", "", "abc", "\"abc\"x"}) {
        CAPTURE(value);
        CHECK_FALSE(if_range_holds(value, strong));
    }
    CHECK_FALSE(if_range_holds("\"abc\"", weak));
    CHECK_FALSE(if_range_holds("\"\"", untagged));
}

TEST_CASE("If-Range wants exactly our date, a second old", "[handler][conditional]") {
    CHECK(if_range_holds(exactly, strong));
    CHECK(if_range_holds("Sunday, 06-Nov-94 08:49:37 GMT", strong));
    CHECK_FALSE(if_range_holds(before, strong));
    CHECK_FALSE(if_range_holds(after, strong));

    Validators fresh = strong;
    fresh.now = fresh.modified;
    CHECK_FALSE(if_range_holds(exactly, fresh));
    fresh.now = fresh.modified + 1;
    CHECK(if_range_holds(exactly, fresh));
}
