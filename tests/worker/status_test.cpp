#include <catch2/catch.hpp>

#include "worker/http/status.h"

using worker::http::reason;

TEST_CASE("registered codes have their phrase", "[http][status]") {
    CHECK(reason(200) == "OK");
    CHECK(reason(308) == "Permanent Redirect");
    CHECK(reason(413) == "Content Too Large");
    CHECK(reason(431) == "Request Header Fields Too Large");
    CHECK(reason(511) == "Network Authentication Required");
}

TEST_CASE("every number gets a phrase that can stand in a status line", "[http][status]") {
    for (unsigned status = 0; status <= 0xffff; ++status) {
        for (const char c : reason(static_cast<worker::http::Status>(status)))
            if (c < ' ' || c > '~') FAIL("byte " << static_cast<int>(c) << " in the phrase of " << status);
    }
    CHECK(reason(299).empty());
    CHECK(reason(0).empty());
}
