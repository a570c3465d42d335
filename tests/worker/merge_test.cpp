// tests/worker/merge_test.cpp: what a fan-out answers, mode by mode, and when it need not wait any longer.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "worker/handler/merge.h"

using namespace worker::handler;

namespace {

Part arrived(std::string_view name, std::string_view body, std::uint32_t arrival = 0) {
    return {.name = name,
            .state = PartState::ok,
            .arrival = arrival,
            .status = 200,
            .content_type = "text/plain",
            .body = body};
}

Part absent(std::string_view name, PartState state) {
    return {.name = name, .state = state, .body = "remains of an answer"};
}

Part needed(Part part) {
    part.required = true;
    return part;
}

Part typed(Part part, std::string_view content_type) {
    part.content_type = content_type;
    return part;
}

Merged merged(Merge how, const std::vector<Part>& parts) { return merge({.merge = how}, parts); }

std::string field(const MergeRules& rules, const std::vector<Part>& parts) {
    return merge(rules, parts).fanout_field;
}

/// What `object` makes of one part with this body, with the braces; else why the part is missing.
std::string wrapped(std::string_view body) {
    const Merged one = merge({}, std::vector{arrived("a", body)});
    if (one.status == 200) return one.body;
    CHECK(one.status == 502);
    CHECK(one.body.empty());
    return one.fanout_field;
}

std::string nested(std::size_t depth, std::string_view open, std::string_view core, std::string_view close) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += open;
    text += core;
    for (std::size_t i = 0; i < depth; ++i) text += close;
    return text;
}

const std::string malformed = "failed; ok=0/1; missing=a:malformed";

}  // namespace

TEST_CASE("an object has the bodies under their names, in declared order, byte for byte",
          "[handler][merge]") {
    const Merged all = merged(Merge::object, {arrived("b", R"({"y": 1.50, "x":2})"),
                                              arrived("a", " [1, 2]\r\n"), arrived("c", "\t\"\\u00e4\" ")});
    CHECK(all.status == 200);
    CHECK(all.content_type == "application/json");
    CHECK(all.body == R"({"b":{"y": 1.50, "x":2},"a":[1, 2],"c":"\u00e4"})");
    CHECK(all.fanout_field == "complete; ok=3/3");
    CHECK(all.cacheable);
}

TEST_CASE("an object leaves missing parts out", "[handler][merge]") {
    const Merged some = merged(
        Merge::object, {absent("a", PartState::timeout), arrived("b", "1"), absent("c", PartState::status)});
    CHECK(some.status == 200);
    CHECK(some.body == R"({"b":1})");
    CHECK(some.fanout_field == "partial; ok=1/3; missing=a:timeout,c:status");
    CHECK_FALSE(some.cacheable);
}

TEST_CASE("an array keeps the places of missing parts with null", "[handler][merge]") {
    CHECK(merged(Merge::array, {arrived("a", "1"), arrived("b", " {} ")}).body == "[1,{}]");
    const Merged some =
        merged(Merge::array, {absent("a", PartState::reset), arrived("b", "1"), arrived("c", "1,2")});
    CHECK(some.status == 200);
    CHECK(some.content_type == "application/json");
    CHECK(some.body == "[null,1,null]");
    CHECK(some.fanout_field == "partial; ok=1/3; missing=a:reset,c:malformed");
    CHECK_FALSE(some.cacheable);
}

TEST_CASE("concat puts bodies one behind the other as they are", "[handler][merge]") {
    const std::string binary("\0\xff{", 3);
    const Merged some =
        merged(Merge::concat, {arrived("a", " x\n"), absent("b", PartState::connect), arrived("c", binary)});
    CHECK(some.status == 200);
    CHECK(some.body == " x\n" + binary);
    CHECK(some.content_type == "text/plain");
    CHECK(some.fanout_field == "partial; ok=2/3; missing=b:connect");
}

TEST_CASE("concat has the type that all with a body agree on, else bytes", "[handler][merge]") {
    const auto type = [](const std::vector<Part>& parts) {
        return merged(Merge::concat, parts).content_type;
    };
    const Part csv = typed(arrived("a", "1"), "text/csv");
    CHECK(type({csv, csv}) == "text/csv");
    CHECK(type({csv, typed(csv, "text/html")}) == "application/octet-stream");
    CHECK(type({csv, typed(csv, "")}) == "application/octet-stream");
    CHECK(type({typed(csv, ""), csv}) == "application/octet-stream");
    CHECK(type({csv, typed(absent("b", PartState::status), "text/html")}) == "text/csv");
    CHECK(type({typed(arrived("b", ""), ""), csv}) == "text/csv");
    CHECK(type({arrived("b", "")}) == "application/octet-stream");
    CHECK(type({typed(csv, "text/csv\r\nSet-Cookie: x")}) == "application/octet-stream");
}

TEST_CASE("first is the answer that arrived first, as it is", "[handler][merge]") {
    Part early = typed(arrived("b", " {not json", 1), "text/html");
    early.status = 203;
    const Merged one =
        merged(Merge::first, {arrived("a", "1", 2), early, needed(absent("c", PartState::pending))});
    CHECK(one.status == 203);
    CHECK(one.content_type == "text/html");
    CHECK(one.body == " {not json");
    CHECK(one.fanout_field == "complete; ok=2/3; from=b");
    CHECK_FALSE(one.cacheable);

    early.status = 0;
    early.content_type = "text/html\n";
    const Merged bare = merged(Merge::first, {early});
    CHECK(bare.status == 200);
    CHECK(bare.content_type.empty());
    CHECK(bare.cacheable);
    CHECK(merged(Merge::first, {arrived("a", "1", 4), arrived("b", "2", 4)}).body == "1");
}

TEST_CASE("first does not call missing whom it gave up or did without", "[handler][merge]") {
    const std::vector parts{absent("a", PartState::cancelled), absent("b", PartState::reset),
                            arrived("c", "1")};
    CHECK(field({.merge = Merge::first, .quorum = 3}, parts) == "complete; ok=1/3; from=c");
}

TEST_CASE("every reason to be missing has its word", "[handler][merge]") {
    const std::vector<std::pair<PartState, std::string>> words{
        {PartState::pending, "cancelled"},   {PartState::timeout, "timeout"},
        {PartState::connect, "connect"},     {PartState::reset, "reset"},
        {PartState::status, "status"},       {PartState::too_large, "too_large"},
        {PartState::malformed, "malformed"}, {PartState::refused, "refused"},
        {PartState::cancelled, "cancelled"},
    };
    for (const auto& [state, word] : words) {
        CAPTURE(word);
        for (const Merge how : {Merge::object, Merge::array, Merge::concat}) {
            const Merged some = merged(how, {absent("a", state), arrived("b", "1")});
            CHECK(some.fanout_field == "partial; ok=1/2; missing=a:" + word);
            CHECK_FALSE(some.cacheable);
        }
        CHECK(merged(Merge::first, {absent("a", state)}).fanout_field == "failed; ok=0/1; missing=a:" + word);
    }
}

TEST_CASE("a partial answer has the status that the configuration gave it", "[handler][merge]") {
    const std::vector parts{arrived("a", "1"), absent("b", PartState::timeout)};
    for (const Merge how : {Merge::object, Merge::array, Merge::concat}) {
        const Merged some = merge({.merge = how, .partial_status = 502}, parts);
        CHECK(some.status == 502);
        CHECK(some.body.find('1') != std::string::npos);
        CHECK(merge({.merge = how, .partial_status = 502}, std::span(parts).first(1)).status == 200);
    }
}

TEST_CASE("without a required part there is no answer", "[handler][merge]") {
    for (const Merge how : {Merge::object, Merge::array, Merge::concat}) {
        const Merged none = merged(how, {arrived("a", "1"), needed(absent("b", PartState::reset))});
        CHECK(none.status == 502);
        CHECK(none.body.empty());
        CHECK(none.content_type.empty());
        CHECK(none.fanout_field == "failed; ok=1/2; missing=b:reset");
        CHECK_FALSE(none.cacheable);
    }
    CHECK(merge({}, std::vector{arrived("a", "1"), needed(arrived("b", "{"))}).status == 502);
    CHECK(merge({}, std::vector{needed(arrived("a", "1")), absent("b", PartState::reset)}).status == 200);
}

TEST_CASE("the quorum counts the parts whose bodies can be used", "[handler][merge]") {
    const std::vector parts{arrived("a", "1"), arrived("b", "2"), arrived("c", "nonsense")};
    const auto status = [&](Merge how, std::uint32_t quorum) {
        return merge({.merge = how, .quorum = quorum}, parts).status;
    };
    CHECK(status(Merge::object, 2) == 200);
    CHECK(status(Merge::object, 3) == 502);
    CHECK(status(Merge::array, 3) == 502);
    CHECK(status(Merge::concat, 3) == 200);
    CHECK(status(Merge::concat, 4) == 502);
    CHECK(status(Merge::concat, UINT32_MAX) == 502);
    CHECK(field({.quorum = 3}, parts) == "failed; ok=2/3; missing=c:malformed");
    CHECK(field({.merge = Merge::concat, .quorum = 4}, parts) == "failed; ok=3/3");
}

TEST_CASE("a quorum of none is met by nothing, but first needs an answer", "[handler][merge]") {
    const std::vector parts{absent("a", PartState::timeout)};
    CHECK(merge({.quorum = 0}, parts).body == "{}");
    CHECK(merge({.merge = Merge::array, .quorum = 0}, parts).body == "[null]");
    CHECK(merge({.merge = Merge::concat, .quorum = 0}, parts).body.empty());
    CHECK(field({.quorum = 0}, parts) == "partial; ok=0/1; missing=a:timeout");
    CHECK(merge({.merge = Merge::first, .quorum = 0}, parts).status == 504);
    CHECK(merge({.merge = Merge::array, .quorum = 0}, {}).body == "[]");
    CHECK(merge({}, {}).status == 502);
    CHECK(merge({.merge = Merge::first}, {}).status == 502);
    CHECK_FALSE(merge({.merge = Merge::first}, {}).cacheable);
}

TEST_CASE("504 when one took too long, 503 when all were refused, else 502", "[handler][merge]") {
    const auto status = [](PartState one, PartState other) {
        const std::vector parts{absent("a", one), absent("b", other)};
        const auto first = merge({.merge = Merge::first}, parts).status;
        CHECK(first == merge({.merge = Merge::array}, parts).status);
        return first;
    };
    CHECK(status(PartState::timeout, PartState::timeout) == 504);
    CHECK(status(PartState::refused, PartState::timeout) == 504);
    CHECK(status(PartState::reset, PartState::timeout) == 504);
    CHECK(status(PartState::refused, PartState::refused) == 503);
    CHECK(status(PartState::refused, PartState::connect) == 502);
    CHECK(status(PartState::status, PartState::too_large) == 502);
    CHECK(status(PartState::cancelled, PartState::cancelled) == 502);
}

TEST_CASE("blame falls neither on whom we gave up nor on whom we could do without", "[handler][merge]") {
    const Part refused = needed(absent("a", PartState::refused));
    const auto status = [&](std::uint32_t quorum, const Part& other) {
        return merge({.quorum = quorum}, std::vector{refused, arrived("b", "1"), other}).status;
    };
    CHECK(status(1, absent("c", PartState::pending)) == 503);
    CHECK(status(1, absent("c", PartState::cancelled)) == 503);
    CHECK(status(2, absent("c", PartState::pending)) == 503);
    CHECK(status(2, absent("c", PartState::cancelled)) == 503);
    CHECK(status(1, absent("c", PartState::timeout)) == 503);  // its absence would have been partial
    CHECK(status(2, absent("c", PartState::timeout)) == 504);  // but here it would have made the quorum
    CHECK(status(1, needed(absent("c", PartState::timeout))) == 504);
}

TEST_CASE("the same parts make the same bytes whatever order they arrived in", "[handler][merge]") {
    std::vector parts{arrived("a", "[1]"), absent("b", PartState::timeout), arrived("c", R"({"x":1})"),
                      arrived("d", R"({"x":2})"), absent("e", PartState::status)};
    std::mt19937 random(7);
    std::vector<std::uint32_t> order{0, 1, 2, 3, 4};
    for (const Merge how : {Merge::object, Merge::array, Merge::concat}) {
        const Merged once = merged(how, parts);
        bool same = true;
        for (int i = 0; i < 1'000; ++i) {
            std::ranges::shuffle(order, random);
            for (std::size_t part = 0; part < parts.size(); ++part) parts[part].arrival = order[part];
            const Merged again = merged(how, parts);
            same = same && again.body == once.body && again.fanout_field == once.fanout_field &&
                   again.status == once.status && again.content_type == once.content_type;
        }
        CHECK(same);
    }
}

TEST_CASE("a body that is not JSON makes its part malformed", "[handler][merge]") {
    using namespace std::string_view_literals;
    for (const std::string_view body : {"{"sv,
                                        "}"sv,
                                        "[1,]"sv,
                                        "{\"a\":1,}"sv,
                                        "1 2"sv,
                                        "1,2"sv,
                                        "1}"sv,
                                        "nul"sv,
                                        "NaN"sv,
                                        "01"sv,
                                        "'a'"sv,
                                        "\"a"sv,
                                        "\"a\nb\""sv,
                                        "// c\n1"sv,
                                        "<html>"sv,
                                        "1e999"sv,
                                        R"("\ud800")"sv,
                                        "1\0"sv,
                                        "1\0,\"admin\":true"sv,
                                        "\0"sv,
                                        "\"\0\""sv,
                                        "\v1"sv,
                                        "\u00a01"sv}) {
        CAPTURE(body);
        CHECK(wrapped(body) == malformed);
    }
}

TEST_CASE("text that is not UTF-8 is malformed", "[handler][merge]") {
    for (const std::string_view body :
         {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc3\"", "\xff",
          "\xef\xbb", "\xfe\xff\x31"}) {
        CAPTURE(body);
        CHECK(wrapped(body) == malformed);
    }
    CHECK(wrapped("\"\u00e4\U0001f600\"") == "{\"a\":\"\u00e4\U0001f600\"}");
}

TEST_CASE("a byte order mark may stand before the value, once, and does not get into the answer",
          "[handler][merge]") {
    CHECK(wrapped("\xef\xbb\xbf 1") == R"({"a":1})");
    CHECK(wrapped("\xef\xbb\xbf") == R"({"a":null})");
    CHECK(wrapped(" \xef\xbb\xbf 1") == malformed);
    CHECK(wrapped("\xef\xbb\xbf\xef\xbb\xbf 1") == malformed);
}

TEST_CASE("an empty body is null, and its part is not missing", "[handler][merge]") {
    for (const std::string_view body : {"", " ", "\r\n\t "}) CHECK(wrapped(body) == R"({"a":null})");
    const Merged all = merged(Merge::array, {arrived("a", ""), arrived("b", "1")});
    CHECK(all.body == "[null,1]");
    CHECK(all.fanout_field == "complete; ok=2/2");
    CHECK(merged(Merge::concat, {arrived("a", ""), arrived("b", "1")}).body == "1");
    CHECK(merged(Merge::first, {arrived("a", "")}).body.empty());
}

TEST_CASE("numbers stay as they were written", "[handler][merge]") {
    for (const std::string body : {"123456789012345678901234567890", "-0", "1E+2", "0.10", "1e-999"})
        CHECK(wrapped(body) == R"({"a":)" + body + "}");
}

TEST_CASE("bodies may nest to a depth of 512", "[handler][merge]") {
    const auto arrays = [](std::size_t depth) { return nested(depth, "[", "", "]"); };
    const auto objects = [](std::size_t depth) { return nested(depth, R"({"k":)", "1", "}"); };
    CHECK(wrapped(arrays(512)) == R"({"a":)" + arrays(512) + "}");
    CHECK(wrapped(objects(512)) == R"({"a":)" + objects(512) + "}");
    CHECK(wrapped(arrays(513)) == malformed);
    CHECK(wrapped(objects(513)) == malformed);
    CHECK(wrapped(nested(256, R"([{"k":)", "1", "}]")).starts_with("{"));
    CHECK(wrapped(nested(256, R"([{"k":)", "[]", "}]")) == malformed);

    std::string wide = "[[]";  // many, but none inside another
    for (int i = 0; i < 10'000; ++i) wide += ",[{}]";
    CHECK(wrapped(wide + "]").size() == wide.size() + 7);
    CHECK(wrapped("\"" + std::string(1'000, '[') + "\"").size() == 1'008);
}

TEST_CASE("a hundred thousand brackets do not reach the stack", "[handler][merge]") {
    CHECK(wrapped(std::string(100'000, '[')) == malformed);
    CHECK(wrapped(nested(100'000, "[", "", "]")) == malformed);
    CHECK(wrapped(nested(100'000, R"({"":)", "1", "}")) == malformed);
    CHECK(wrapped(std::string(100'000, ']')) == malformed);
}

TEST_CASE("a name is a JSON string in the object", "[handler][merge]") {
    const auto object = [](std::string_view name) {
        return merged(Merge::object, {arrived(name, "1")}).body;
    };
    CHECK(object("") == R"({"":1})");
    CHECK(object("a\"b\\c\r\n") == R"({"a\"b\\c\r\n":1})");
    CHECK(object(std::string_view("\0\x01", 2)) == R"({"\u0000\u0001":1})");
    CHECK(object("\u00e4") == "{\"\u00e4\":1}");
    CHECK(object("a\xff") == "{\"a\uFFFD\":1}");
}

TEST_CASE("a name is a token in the field, its other bytes escaped", "[handler][merge]") {
    const auto check = [](std::string_view name, const std::string& token) {
        CHECK(merged(Merge::first, {arrived(name, "")}).fanout_field == "complete; ok=1/1; from=" + token);
        CHECK(merged(Merge::first, {absent(name, PartState::reset)}).fanout_field ==
              "failed; ok=0/1; missing=" + token + ":reset");
    };
    check("shard-0.eu_west~1", "shard-0.eu_west~1");
    check("a\r\nSet-Cookie: x", "a%0D%0ASet-Cookie%3A%20x");
    check("a:timeout,b;c=d", "a%3Atimeout%2Cb%3Bc%3Dd");
    check("100%", "100%25");
    check(std::string_view("\0\x7f\xc3\xa4", 4), "%00%7F%C3%A4");
}

TEST_CASE("all having arrived decides", "[handler][merge]") {
    CHECK(decided({}, {}));
    CHECK(decided({}, std::vector{arrived("a", "1"), absent("b", PartState::timeout)}));
    CHECK_FALSE(decided({}, std::vector{arrived("a", "1"), absent("b", PartState::pending)}));
    CHECK_FALSE(decided({}, std::vector{needed(arrived("a", "1")), absent("b", PartState::pending)}));
}

TEST_CASE("a required part that is missing decides at once", "[handler][merge]") {
    const Part pending = absent("b", PartState::pending);
    CHECK(decided({}, std::vector{needed(absent("a", PartState::reset)), pending}));
    CHECK(decided({}, std::vector{needed(absent("a", PartState::cancelled)), pending}));
    CHECK_FALSE(decided({}, std::vector{absent("a", PartState::reset), pending}));
    CHECK_FALSE(decided({}, std::vector{absent("a", PartState::reset), needed(pending)}));
}

TEST_CASE("a quorum out of reach decides at once", "[handler][merge]") {
    const Part pending = absent("c", PartState::pending);
    const std::vector parts{absent("a", PartState::reset), absent("b", PartState::timeout), pending};
    CHECK(decided({.quorum = 2}, parts));
    CHECK_FALSE(decided({.quorum = 1}, parts));
    CHECK_FALSE(decided({.quorum = 2}, std::vector{arrived("a", "1"), parts[1], pending}));
    CHECK(decided({.quorum = 4}, std::vector{pending, pending, pending}));
    CHECK_FALSE(decided({.quorum = 3}, std::vector{pending, pending, pending}));
}

TEST_CASE("a quorum that is met decides nothing: more parts are a better answer", "[handler][merge]") {
    CHECK_FALSE(decided({}, std::vector{arrived("a", "1"), absent("b", PartState::pending)}));
}

TEST_CASE("first is decided by the first ok part, and by nothing else before the last", "[handler][merge]") {
    const MergeRules rules{.merge = Merge::first, .quorum = 3};
    const Part pending = absent("b", PartState::pending);
    CHECK(decided(rules, std::vector{arrived("a", "1"), pending}));
    CHECK_FALSE(decided(rules, std::vector{needed(absent("a", PartState::reset)), pending}));
    CHECK(decided(rules, std::vector{absent("a", PartState::reset), absent("b", PartState::timeout)}));
}
