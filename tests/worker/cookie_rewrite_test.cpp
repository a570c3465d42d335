#include "worker/handler/cookie_rewrite.h"

namespace {

std::string rewritten(std::string_view cookie) {
    conf::Proxy terms;
    terms.cookie_domain = {{"app.internal", "example.org"}, {".gone.internal", ""}};
    terms.cookie_path = {{"/app/", "/"}, {"/app", "/other"}, {"/lost", ""}};
    std::string out;
    worker::handler::append_cookie(out, cookie, terms);
    return out;
}

}  // namespace

TEST_CASE("a cookie's domain and path are replaced by the first that matches", "[cookie]") {
    CHECK(rewritten("a=b; Domain=app.internal; Path=/app/x; Secure") ==
          "a=b; Domain=example.org; Path=/x; Secure");
    CHECK(rewritten("a=b;domain=.APP.Internal;path=/app") == "a=b; domain=example.org; path=/other");
    CHECK(rewritten("a=b; PATH = /app/ ; HttpOnly") == "a=b; PATH =/; HttpOnly");
    CHECK(rewritten("a=b; Path=/app/; Path=/app/y") == "a=b; Path=/; Path=/y");
}

TEST_CASE("an attribute without a replacement is left out", "[cookie]") {
    CHECK(rewritten("a=b; Domain=gone.internal; Secure") == "a=b; Secure");
    CHECK(rewritten("a=b; Domain=gone.internal") == "a=b");
    CHECK(rewritten("a=b; Path=/lost; Secure") == "a=b; Secure");
    CHECK(rewritten("a=b; Path=/lost/x") == "a=b; Path=/x");
}

TEST_CASE("what does not match stays byte by byte", "[cookie]") {
    for (const std::string_view same : {"", "a", "a=b", ";", ";;", "a=b;", "a=b;  Max-Age=1 ;Secure",
                                        "a=b; Domain=sub.app.internal; Path=/x", "a=b; Domain; Path",
                                        "a=b; Domain=; Path=", "Path=/app/; Domain", "Domain=app.internal",
                                        "a=b; xPath=/app/; Expires=Wed, 09 Jun 2021 10:18:14 GMT"})
        CHECK(rewritten(same) == same);
}
