#include "worker/observe/access_log.h"

#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "conf/log_variables.h"

using worker::observe::AccessFormat;
using worker::observe::AccessRecord;
using worker::observe::LogClock;

namespace {

/// A time zone for one test.
class Zone {
 public:
    explicit Zone(const char* name) { set(name); }
    Zone(const Zone&) = delete;
    Zone& operator=(const Zone&) = delete;
    ~Zone() { set("UTC0"); }

 private:
    static void set(const char* name) {
        ::setenv("TZ", name, 1);
        ::tzset();
    }
};

constexpr std::int64_t evening_ms = 1'795'216'440'123;  // 2026-11-20 23:14:00.123 UTC

LogClock clock_at(std::int64_t unix_ms) {
    LogClock clock(3, 4711);
    clock.update(unix_ms);
    return clock;
}

/// One failed, one answered; of another call one was given up.
const worker::http::Tries tries{
    {.peer = "127.0.0.1:1", .status = 502, .response_us = 1'002'003},
    {.peer = "unix:/run/a", .status = 200, .connect_us = 0, .header_us = 1500, .response_us = 2000},
    {.peer = "127.0.0.1:2", .connect_us = 120, .response_us = 300'000, .apart = true}};

AccessRecord example() {
    AccessRecord record;
    record.client = "192.0.2.7";
    record.client_port = 50123;
    record.method = "GET";
    record.target = "/a/b?c=d";
    record.protocol = "HTTP/1.1";
    record.host = "example.org";
    record.referer = "http://example.org/";
    record.user_agent = "curl/7.88.1";
    record.range = "bytes=0-9";
    record.forwarded_for = "198.51.100.1";
    record.status = 206;
    record.body_bytes = 10;
    record.bytes_sent = 310;
    record.bytes_received = 120;
    record.connection = 42;
    record.connection_requests = 2;
    record.request_time_us = 1'002'003;
    record.server = "site";
    record.tries = &tries;
    record.route = "assets";
    record.keep_alive = true;
    return record;
}

std::string line(std::string_view format, const AccessRecord& record) {
    const auto compiled = AccessFormat::compile(format);
    REQUIRE(compiled);
    std::string out;
    compiled->append(out, record, clock_at(evening_ms));
    return out;
}

std::string complaint(std::string_view format) {
    const auto compiled = AccessFormat::compile(format);
    return compiled ? "none" : compiled.error();
}

/// All that a client chooses.
constexpr std::array client_fields{
    &AccessRecord::method,  &AccessRecord::target,     &AccessRecord::protocol,      &AccessRecord::host,
    &AccessRecord::referer, &AccessRecord::user_agent, &AccessRecord::forwarded_for, &AccessRecord::range,
    &AccessRecord::client,  &AccessRecord::server,     &AccessRecord::route};

std::string format_of_everything() {
    std::string format;
    for (const auto name : conf::log_variables) format += "\"$" + std::string(name) + "\" ";
    return format;
}

}  // namespace

TEST_CASE("the log clock writes local time with its offset", "[access_log]") {
    SECTION("in UTC") {
        const Zone zone("UTC0");
        const auto clock = clock_at(evening_ms);
        CHECK(clock.local() == "20/Nov/2026:23:14:00 +0000");
        CHECK(clock.iso8601() == "2026-11-20T23:14:00+00:00");
        CHECK(clock.unix_ms() == 1'795'216'440'123);
    }
    SECTION("east of it, on the next day") {
        const Zone zone("IST-5:30");
        CHECK(clock_at(evening_ms).local() == "21/Nov/2026:04:44:00 +0530");
        CHECK(clock_at(evening_ms).iso8601() == "2026-11-21T04:44:00+05:30");
    }
    SECTION("west of it") {
        const Zone zone("NST3:30");
        CHECK(clock_at(evening_ms).local() == "20/Nov/2026:19:44:00 -0330");
        CHECK(clock_at(evening_ms).iso8601() == "2026-11-20T19:44:00-03:30");
    }
    SECTION("through the beginning of summer time") {
        const Zone zone("CET-1CEST,M3.5.0,M10.5.0/3");
        auto clock = clock_at(1'774'745'999'999);  // 2026-03-29 00:59:59.999 UTC
        CHECK(clock.local() == "29/Mar/2026:01:59:59 +0100");
        clock.update(1'774'746'000'000);
        CHECK(clock.local() == "29/Mar/2026:03:00:00 +0200");
    }
}

TEST_CASE("the log clock keeps its text within a second and changes it with the next", "[access_log]") {
    const Zone zone("UTC0");
    auto clock = clock_at(evening_ms);
    clock.update(evening_ms + 876);
    CHECK(clock.local() == "20/Nov/2026:23:14:00 +0000");
    CHECK(clock.unix_ms() == evening_ms + 876);
    clock.update(evening_ms + 877);
    CHECK(clock.local() == "20/Nov/2026:23:14:01 +0000");
    clock.update(evening_ms - 1000);  // somebody set the clock back
    CHECK(clock.local() == "20/Nov/2026:23:13:59 +0000");
    clock.update(-5);
    CHECK(clock.iso8601() == "1970-01-01T00:00:00+00:00");
}

TEST_CASE("a combined line is what Nginx writes", "[access_log]") {
    const Zone zone("UTC0");
    auto record = example();
    CHECK(line("combined", record) ==
          "192.0.2.7 - - [20/Nov/2026:23:14:00 +0000] \"GET /a/b?c=d HTTP/1.1\" 206 10 "
          "\"http://example.org/\" \"curl/7.88.1\"\n");

    record.referer = record.user_agent = {};
    CHECK(line("combined", record) ==
          "192.0.2.7 - - [20/Nov/2026:23:14:00 +0000] \"GET /a/b?c=d HTTP/1.1\" 206 10 \"-\" \"-\"\n");

    AccessRecord unread;
    unread.client = "unix:";
    unread.status = 400;
    unread.body_bytes = 18'446'744'073'709'551'615u;
    CHECK(line("combined", unread) ==
          "unix: - - [20/Nov/2026:23:14:00 +0000] \"-\" 400 18446744073709551615 \"-\" \"-\"\n");
}

TEST_CASE("combined is the same as its format spelled out", "[access_log]") {
    constexpr std::string_view spelled_out =
        "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
        "\"$http_referer\" \"$http_user_agent\"";
    auto record = example();
    CHECK(line("combined", record) == line(spelled_out, record));
    record.protocol = {};
    record.user_agent = "a\"b\\c\nd";
    CHECK(line("combined", record) == line(spelled_out, record));
    CHECK(line("combined", {}) == line(spelled_out, {}));
}

TEST_CASE("each variable of a text format writes its value", "[access_log]") {
    const Zone zone("UTC0");
    const auto [format, expected] = GENERATE(table<std::string, std::string>({
        {"$remote_addr", "192.0.2.7"},
        {"$remote_port", "50123"},
        {"$remote_user", "-"},
        {"$time_local", "20/Nov/2026:23:14:00 +0000"},
        {"$time_iso8601", "2026-11-20T23:14:00+00:00"},
        {"$msec", "1795216440.123"},
        {"$request", "GET /a/b?c=d HTTP/1.1"},
        {"$request_method", "GET"},
        {"$request_uri", "/a/b?c=d"},
        {"$server_protocol", "HTTP/1.1"},
        {"$host", "example.org"},
        {"$status", "206"},
        {"$body_bytes_sent", "10"},
        {"$bytes_sent", "310"},
        {"$request_length", "120"},
        {"$request_time", "1.002003"},
        {"$connection", "42"},
        {"$connection_requests", "2"},
        {"$worker", "3"},
        {"$pid", "4711"},
        {"$server_name", "site"},
        {"$route", "assets"},
        {"$http_referer", "http://example.org/"},
        {"$http_user_agent", "curl/7.88.1"},
        {"$http_range", "bytes=0-9"},
        {"$http_x_forwarded_for", "198.51.100.1"},
        {"$upstream_addr", "127.0.0.1:1, unix:/run/a : 127.0.0.1:2"},
        {"$upstream_status", "502, 200 : -"},
        {"$upstream_connect_time", "-, 0.000000 : 0.000120"},
        {"$upstream_header_time", "-, 0.001500 : -"},
        {"$upstream_response_time", "1.002003, 0.002000 : 0.300000"},
        {"${status}s and $$$host.", "206s and $example.org."},
        {"$status$status", "206206"},
        {"caf\xC3\xA9 $status", "caf\xC3\xA9 206"},
    }));
    CAPTURE(format);
    CHECK(line(format, example()) == expected + "\n");
}

TEST_CASE("what is missing is a dash in a text format", "[access_log]") {
    for (const std::string_view format :
         {"$request", "$request_method", "$request_uri", "$server_protocol", "$host", "$server_name",
          "$route", "$http_referer", "$http_user_agent", "$http_range", "$http_x_forwarded_for",
          "$remote_addr", "$upstream_addr", "$upstream_status", "$upstream_connect_time",
          "$upstream_header_time", "$upstream_response_time"}) {
        CAPTURE(format);
        CHECK(line(format, {}) == "-\n");
    }
}

TEST_CASE("a format that cannot be is refused with a reason", "[access_log]") {
    CHECK(complaint("$remote_adr $status") == "unknown variable $remote_adr; did you mean $remote_addr?");
    CHECK(complaint("${stats}") == "unknown variable $stats; did you mean $status?");
    CHECK(complaint("$qqqqqqqq") == "unknown variable $qqqqqqqq");
    CHECK(complaint("$") == "\"$\" without a name in the format; write \"$$\" for a dollar sign");
    CHECK(complaint("$status $ ") == "\"$\" without a name in the format; write \"$$\" for a dollar sign");
    CHECK(complaint("${}") == "\"$\" without a name in the format; write \"$$\" for a dollar sign");
    CHECK(complaint("${status") == "\"${\" without \"}\" in the format");
    CHECK(complaint("${status $host}") == "\"${\" without \"}\" in the format");
    CHECK(complaint("$status\n$host") == "a control byte in the format");
    CHECK(complaint("main") == "\"main\" is no format: combined, json, or a text with $variables");
    CHECK(complaint("") == "\"\" is no format: combined, json, or a text with $variables");
    CHECK(complaint("$$") == "\"$$\" is no format: combined, json, or a text with $variables");
}

TEST_CASE("the check of a configuration and the worker agree on every cut of a format", "[access_log]") {
    const std::string whole = "x$$ ${time_local} \"$request\" $status $http_x_forwarded_for y";
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        CAPTURE(size);
        const auto cut = std::string_view(whole).substr(0, size);
        CHECK(conf::log_format_complaint(cut).empty() == AccessFormat::compile(cut).has_value());
    }
    CHECK(conf::log_format_complaint("combined").empty());
    CHECK(conf::log_format_complaint("json").empty());
}

TEST_CASE("no byte of a client forges a line or a field", "[access_log]") {
    const auto format = GENERATE(std::string("combined"), format_of_everything());
    const auto quotes_of = [](std::string_view text) { return std::count(text.begin(), text.end(), '"'); };
    const auto quotes = quotes_of(line(format, example()));

    for (const auto field : client_fields) {
        for (int byte = 0; byte < 256; ++byte) {
            CAPTURE(byte);
            for (const std::size_t before : {0u, 3u, 15u, 16u, 20u, 31u}) {  // sixteen are compared at once
                std::string hostile(before, 'a');
                hostile += static_cast<char>(byte);
                hostile += "zzzzz";
                auto record = example();
                record.*field = hostile;
                const auto out = line(format, record);

                const bool one_line = std::count(out.begin(), out.end(), '\n') == 1 && out.back() == '\n';
                const bool no_control = std::none_of(
                    out.begin(), out.end() - 1, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; });
                if (!one_line || !no_control || quotes_of(out) != quotes) FAIL("forged: " << out);
            }
        }
    }
}

TEST_CASE("what a client sent is escaped as Nginx does, but UTF-8 stays", "[access_log]") {
    AccessRecord record;
    record.user_agent = std::string_view("\0\t\n\x1f\x20!\"\\\x7e\x7f\xC3\xA9", 12);
    CHECK(line("$http_user_agent", record) == "\\x00\\x09\\x0A\\x1F !\\x22\\x5C~\\x7F\xC3\xA9\n");
    record.user_agent = "plain plain plain\" plain plain plain";
    CHECK(line("$http_user_agent", record) == "plain plain plain\\x22 plain plain plain\n");
}

TEST_CASE("a json line is one object that says everything", "[access_log]") {
    const Zone zone("UTC0");
    const auto out = line("json", example());
    CHECK(out.find('\n') == out.size() - 1);
    CHECK(nlohmann::json::parse(out) == nlohmann::json{{"time_iso8601", "2026-11-20T23:14:00+00:00"},
                                                       {"msec", 1795216440.123},
                                                       {"remote_addr", "192.0.2.7"},
                                                       {"remote_port", 50123},
                                                       {"request_method", "GET"},
                                                       {"request_uri", "/a/b?c=d"},
                                                       {"server_protocol", "HTTP/1.1"},
                                                       {"host", "example.org"},
                                                       {"status", 206},
                                                       {"body_bytes_sent", 10},
                                                       {"bytes_sent", 310},
                                                       {"request_length", 120},
                                                       {"request_time", 1.002003},
                                                       {"connection", 42},
                                                       {"connection_requests", 2},
                                                       {"keep_alive", true},
                                                       {"worker", 3},
                                                       {"pid", 4711},
                                                       {"server_name", "site"},
                                                       {"route", "assets"},
                                                       {"http_referer", "http://example.org/"},
                                                       {"http_user_agent", "curl/7.88.1"},
                                                       {"http_range", "bytes=0-9"},
                                                       {"http_x_forwarded_for", "198.51.100.1"}});
    CHECK_NOTHROW(nlohmann::json::parse(line("json", {})));
}

TEST_CASE("a json line gives back every ASCII byte as it was sent", "[access_log]") {
    std::string ascii;
    for (int byte = 0; byte < 0x80; ++byte) ascii += static_cast<char>(byte);
    for (const auto field : client_fields) {
        auto record = example();
        record.*field = ascii;
        const auto parsed = nlohmann::json::parse(line("json", record));
        CHECK(std::count(parsed.begin(), parsed.end(), ascii) == 1);
    }
}

TEST_CASE("a json line is valid for every two bytes in a row", "[access_log]") {
    for (int first = 0; first < 256; ++first) {
        std::string pairs;
        for (int second = 0; second < 256; ++second) {
            pairs += static_cast<char>(first);
            pairs += static_cast<char>(second);
            pairs += '.';
        }
        AccessRecord record;
        record.target = pairs;
        const auto out = line("json", record);
        CAPTURE(first);
        CHECK(out.find('\n') == out.size() - 1);
        CHECK_FALSE(nlohmann::json::parse(out, nullptr, false).is_discarded());
    }
}

TEST_CASE("a json line keeps UTF-8 and replaces what is none", "[access_log]") {
    const auto [sent, read] = GENERATE(table<std::string, std::string>({
        {"caf\xC3\xA9", "caf\xC3\xA9"},
        {"\xE2\x82\xAC", "\xE2\x82\xAC"},
        {"\xF0\x9F\x98\x80!", "\xF0\x9F\x98\x80!"},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
        {"a\xFF", "a\xEF\xBF\xBD"},
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},                                  // overlong
        {"\xE0\x9F\xBF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                  // overlong
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                  // a surrogate
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},  // beyond U+10FFFF
        {"\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},                                  // cut short
        {"\xE2\x82\"", "\xEF\xBF\xBD\xEF\xBF\xBD\""},
    }));
    AccessRecord record;
    record.user_agent = sent;
    const auto parsed = nlohmann::json::parse(line("json", record));
    CHECK(parsed["http_user_agent"] == read);
}

TEST_CASE("a line is appended behind what stands there, without allocating", "[access_log]") {
    const auto format = GENERATE(std::string("combined"), std::string("json"), format_of_everything());
    const auto compiled = AccessFormat::compile(format);
    REQUIRE(compiled);
    std::string out = "before\n";
    out.reserve(4096);
    const char* const memory = out.data();
    compiled->append(out, example(), clock_at(evening_ms));
    CHECK(out.rfind("before\n", 0) == 0);
    CHECK(out.data() == memory);
}
