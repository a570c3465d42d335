// tests/worker/prefer_test.cpp: what clients would like, as RFC 7240 has them say it.
#include "worker/http/prefer.h"

#include <string>
#include <vector>

using namespace std::chrono_literals;
using worker::http::Preferences;

namespace {

Preferences of(const std::vector<std::string>& values) {
    Preferences preferences;
    for (const auto& value : values) preferences.add(value);
    return preferences;
}

}  // namespace

TEST_CASE("a client may prefer an answer now to the result, and say how long it would wait",
          "[http][prefer]") {
    CHECK(of({"respond-async, wait=10"}).respond_async());
    CHECK(of({"respond-async, wait=10"}).wait() == 10s);
    CHECK(of({"wait=\"10\"", "return=minimal", "Respond-Async"}).respond_async());
    CHECK(of({"wait=\"10\"", "return=minimal", "Respond-Async"}).wait() == 10s);
    CHECK(of({"foo; bar=\"a, respond-async\", WAIT = 3 ; x"}).wait() == 3s);
    CHECK_FALSE(of({"foo; bar=\"a, respond-async\", WAIT = 3 ; x"}).respond_async());
    CHECK(of({"wait=0"}).wait() == 0s);
    CHECK(of({"wait=99999999999999999999"}).wait() == 1'000'000s);
}

TEST_CASE("the first of a name counts, and what makes no sense says nothing", "[http][prefer]") {
    CHECK(of({"wait=1, wait=2", "wait=3"}).wait() == 1s);
    for (const std::string value : {"", "wait", "wait=", "wait=-1", "wait=1s", "wait=1.5", "waits=1",
                                    "wait=\"", "wait=, wait=2", "x;wait=2"}) {
        CAPTURE(value);
        CHECK_FALSE(of({value}).wait());
        CHECK_FALSE(of({value}).respond_async());
    }
    CHECK_FALSE(of({"respond-asynchronously"}).respond_async());
}
