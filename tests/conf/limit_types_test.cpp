// tests/conf/limit_types_test.cpp: `limit_rate` and `limit_conn` as they are written, and every complaint.
#include "conf/limit_types.h"

#include <utility>

using namespace conf;
using namespace std::chrono_literals;

namespace {

Parsed<RateLimit> rate(std::string_view text) { return RateType{}.parse({text, "/"}); }
Parsed<ConnLimit> conn(std::string_view text) { return ConnLimitType{}.parse({text, "/"}); }

using Complaints = std::vector<std::pair<std::string, std::string>>;  // of a text

}  // namespace

TEST_CASE("a rate has a number and a unit of time", "[limits]") {
    CHECK(rate("10/s burst=20 key=$remote_addr") == RateLimit{10, 1s, 20, {}});
    CHECK(rate("10/m burst=0") == RateLimit{10, 60s, 0, {}});
    CHECK(rate("1/h burst=1000000") == RateLimit{1, 3600s, 1'000'000, {}});
    CHECK(rate("1000000/S burst=1") == RateLimit{1'000'000, 1s, 1, {}});
    CHECK(rate("\"10/s\" \"burst=1\"") == RateLimit{10, 1s, 1, {}});
}

TEST_CASE("without a burst, what a unit of time allows may come at once", "[limits]") {
    CHECK(rate("10/s") == RateLimit{10, 1s, 9, {}});
    CHECK(rate("1/m") == RateLimit{1, 60s, 0, {}});
    CHECK(rate("1000000/s") == RateLimit{1'000'000, 1s, 999'999, {}});
}

TEST_CASE("a limit counts by address, or by another variable", "[limits]") {
    using Kind = LimitKey::Kind;
    const std::vector<std::pair<std::string, LimitKey>> keys{
        {"$remote_addr", {Kind::remote_addr, ""}},
        {"$server_name", {Kind::server_name, ""}},
        {"$host", {Kind::host, ""}},
        {"$uri", {Kind::uri, ""}},
        {"$http_authorization", {Kind::header, "authorization"}},
        {"$http_x_api_key", {Kind::header, "x-api-key"}},
        {"$http_X_API_Key", {Kind::header, "x-api-key"}},
    };
    for (const auto& [text, key] : keys) {
        CAPTURE(text);
        CHECK(rate("5/s key=" + text) == RateLimit{5, 1s, 4, key});
        CHECK(rate("5/s key=" + text + " burst=1") == RateLimit{5, 1s, 1, key});
        CHECK(conn("5 key=" + text) == ConnLimit{5, key});
    }
    CHECK(conn("10") == ConnLimit{10, {Kind::remote_addr, ""}});
    CHECK(conn("1000000") == ConnLimit{1'000'000, {}});
}

TEST_CASE("limits print whole, and read back the same", "[limits]") {
    CHECK(RateType{}.print(*rate("10/s")) == "10/s burst=9 key=$remote_addr");
    CHECK(RateType{}.print(*rate("6/m key=$http_X_Api_Key burst=0")) == "6/m burst=0 key=$http_x_api_key");
    CHECK(ConnLimitType{}.print(*conn("10 key=$uri")) == "10 key=$uri");
    CHECK(RateType{}.print({}) == "1/s burst=0 key=$remote_addr");
    CHECK(ConnLimitType{}.print({}) == "1 key=$remote_addr");
    for (const std::string unit : {"/s", "/m", "/h"})
        for (const std::string burst : {"", " burst=0", " burst=77"})
            for (const std::string key :
                 {"", " key=$server_name", " key=$host", " key=$uri", " key=$http_cookie", " key=$http_a_b"})
                for (const std::string number : {"1", "999999"}) {
                    const auto limit = rate(number + unit + burst + key);
                    REQUIRE(limit);
                    CHECK(rate(RateType{}.print(*limit)) == limit);
                    const auto most = conn(number + key);
                    REQUIRE(most);
                    CHECK(conn(ConnLimitType{}.print(*most)) == most);
                }
}

TEST_CASE("every mistake in a rate is explained", "[limits]") {
    const std::string bounds = " is not a rate, 1/s to 1000000/s (or with /m, /h)";
    Complaints complaints{
        {"", "has no value"},
        {"\"10/s", "a quote is not closed"},
        {"10/s burst=\"5\"", "a quote inside of \"burst=\"5\"\"; put the whole word in quotes"},
        {"10/s burst=", "burst: \"\" is not a number, 0 to 1000000"},
        {"10/s burst=-1", "burst: \"-1\" is not a number, 0 to 1000000"},
        {"10/s burst=1000001", "burst: \"1000001\" is not a number, 0 to 1000000"},
        {"10/s burst=5 burst=6", "a second \"burst=6\""},
        {"10/s key=$uri burst=5 key=$host", "a second \"key=$host\""},
        {"10/s burst", "unknown option \"burst\"; did you mean `burst=N`?"},
        {"10/s nodelay", "unknown option \"nodelay\"; valid: key=$VARIABLE, burst=N"},
        {"10/s 20/m", "unknown option \"20/m\"; valid: key=$VARIABLE, burst=N"},
        {"10/s key=remote_addr",
         "key: \"remote_addr\" is not one of $remote_addr, $server_name, $host, $uri, $http_NAME; did you "
         "mean `$remote_addr`?"},
        {"10/s key=$request_id",
         "key: \"$request_id\" is not one of $remote_addr, $server_name, $host, $uri, $http_NAME"},
        {"10/s key=", "key: \"\" is not one of $remote_addr, $server_name, $host, $uri, $http_NAME"},
        {"10/s key=$http_", "key: \"$http_\" does not name a header: $http_NAME"},
        {"10/s key=$http_a,b", "key: \"$http_a,b\" does not name a header: $http_NAME"},
        {"10/s \"key=$http_a b\"", "key: \"$http_a b\" does not name a header: $http_NAME"},
        {"10/s key=$http_x-api-key", "key: \"$http_x-api-key\": the `-` of a header is written `_`"},
    };
    for (const std::string text :
         {"10", "0/s", "1000001/s", "-1/s", "+1/s", "1.5/s", "/s", "/", "s", "10/d", "10/", "10/sec", "10r/s",
          "10//s", "10k/s", "18446744073709551616/s", "key=$uri"})
        complaints.emplace_back(text, "\"" + text + "\"" + bounds);
    complaints.emplace_back("10 / s", "\"10\"" + bounds);
    for (const auto& [text, message] : complaints) {
        CAPTURE(text);
        const auto limit = rate(text);
        REQUIRE_FALSE(limit);
        CHECK(limit.error() == message);
    }
}

TEST_CASE("every mistake in a number of requests at once is explained", "[limits]") {
    const Complaints complaints{
        {"", "has no value"},
        {"\"10", "a quote is not closed"},
        {"10 \"key=", "a quote is not closed"},
        {"0", "\"0\" is not a number, 1 to 1000000"},
        {"1000001", "\"1000001\" is not a number, 1 to 1000000"},
        {"ten", "\"ten\" is not a number, 1 to 1000000"},
        {"10/s", "\"10/s\" is not a number, 1 to 1000000"},
        {"10 burst=5", "unknown option \"burst=5\"; valid: key=$VARIABLE"},
        {"10 key=$uri key=$uri", "a second \"key=$uri\""},
        {"10 key=$hst",
         "key: \"$hst\" is not one of $remote_addr, $server_name, $host, $uri, $http_NAME; did you mean "
         "`$host`?"},
    };
    for (const auto& [text, message] : complaints) {
        CAPTURE(text);
        const auto limit = conn(text);
        REQUIRE_FALSE(limit);
        CHECK(limit.error() == message);
    }
}
