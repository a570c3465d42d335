#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "worker/http/accept.h"
#include "worker/http/list.h"

using namespace worker::http;

namespace {

std::vector<std::string> members(std::string_view value) {
    std::vector<std::string> result;
    List list(value);
    while (const auto member = list.next()) result.emplace_back(*member);
    return result;
}

using Members = std::vector<std::string>;

}  // namespace

TEST_CASE("members come without white space, empty ones left out", "[http][list]") {
    CHECK(members("a, b ,\tc") == Members{"a", "b", "c"});
    CHECK(members("") == Members{});
    CHECK(members(" ,, ,\t,") == Members{});
    CHECK(members(",a,,b,") == Members{"a", "b"});
    CHECK(members("a b") == Members{"a b"});
}

TEST_CASE("a comma in a quoted string separates nothing", "[http][list]") {
    CHECK(members(R"(a="1,2", b)") == Members{R"(a="1,2")", "b"});
    CHECK(members(R"("a\",b", c)") == Members{R"("a\",b")", "c"});
    CHECK(members(R"("a\\", c)") == Members{R"("a\\")", "c"});
    CHECK(members(R"("never, ends)") == Members{R"("never, ends)"});
    CHECK(members("\"a\\") == Members{"\"a\\"});
}

TEST_CASE("a token is found in any case, as a whole member", "[http][list]") {
    CHECK(has_token("keep-alive, Upgrade", "upgrade"));
    CHECK(has_token("Close", "close"));
    CHECK_FALSE(has_token("closed", "close"));
    CHECK_FALSE(has_token("not close", "close"));
    CHECK_FALSE(has_token("", "close"));
}

TEST_CASE("weights are thousandths from 0 to 1", "[http][list]") {
    CHECK(parse_weight("0") == 0);
    CHECK(parse_weight("0.") == 0);
    CHECK(parse_weight("0.5") == 500);
    CHECK(parse_weight("0.123") == 123);
    CHECK(parse_weight("1") == 1'000);
    CHECK(parse_weight("1.000") == 1'000);
    for (const char* text : {"", ".5", "1.001", "1.1", "2", "0.1234", "-0", "+1", "0,5", "0.x", "00", "01",
                             "1.0000", " 1", "nan"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_weight(text));
    }
}

TEST_CASE("a member is its name, its parameters and its weight", "[http][list]") {
    const auto plain = parse_weighted("gzip");
    REQUIRE(plain);
    CHECK(plain->name == "gzip");
    CHECK(plain->weight == 1'000);
    CHECK(plain->parameters.empty());

    const auto full = parse_weighted("text/html ; level=1;charset=\"a;q=0\" ;\tQ=0.25;ext=1");
    REQUIRE(full);
    CHECK(full->name == "text/html");
    CHECK(full->parameters == "level=1;charset=\"a;q=0\"");
    CHECK(full->weight == 250);

    CHECK(parse_weighted("a;q=0")->parameters.empty());
    CHECK(parse_weighted("a;")->name == "a");
    CHECK_FALSE(parse_weighted("a;q="));
    CHECK_FALSE(parse_weighted("a;q=2"));
    CHECK_FALSE(parse_weighted("a;q=0.5x"));
}

TEST_CASE("the offered type of the highest weight is chosen", "[http][accept]") {
    const std::array<std::string_view, 2> offered{"text/html", "application/json"};
    CHECK(best_of("", offered) == 0);
    CHECK(best_of("*/*", offered) == 0);
    CHECK(best_of("application/json", offered) == 1);
    CHECK(best_of("APPLICATION/JSON", offered) == 1);
    CHECK(best_of("text/html;q=0.5, application/json;q=0.6", offered) == 1);
    CHECK(best_of("application/*, text/*;q=0.9", offered) == 1);
    CHECK(best_of("*/*;q=0.1, application/json;q=0", offered) == 0);
    CHECK(best_of("text/html;q=0, */*", offered) == 1);
    CHECK(best_of("text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", offered) ==
          0);
    CHECK(best_of("application/json; charset=utf-8", offered) == 1);
}

TEST_CASE("no acceptable type is the end of the list", "[http][accept]") {
    const std::array<std::string_view, 1> offered{"text/html"};
    CHECK(best_of("image/png", offered) == 1);
    CHECK(best_of("text/html;q=0", offered) == 1);
    CHECK(best_of("text/html;q=nonsense", offered) == 1);
    CHECK(best_of("*/*;q=1, text/*;q=0", offered) == 1);
    CHECK(best_of("texts/*", offered) == 1);
    CHECK(best_of("/*", offered) == 1);
    CHECK(best_of("*", offered) == 1);
    CHECK(best_of("text/html/*", offered) == 1);
}
