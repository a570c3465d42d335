#include "worker/http/field.h"

using worker::http::Known;
using worker::http::known_field;

TEST_CASE("known names are found in any case", "[http]") {
    CHECK(known_field("te") == Known::te);
    CHECK(known_field("Via") == Known::via);
    CHECK(known_field("HOST") == Known::host);
    CHECK(known_field("rAnGe") == Known::range);
    CHECK(known_field("Server") == Known::server);
    CHECK(known_field("UPGRADE") == Known::upgrade);
    CHECK(known_field("If-Range") == Known::if_range);
    CHECK(known_field("Content-Length") == Known::content_length);
    CHECK(known_field("TRANSFER-ENCODING") == Known::transfer_encoding);
    CHECK(known_field("if-unmodified-since") == Known::if_unmodified_since);
}

TEST_CASE("what differs in one byte is another name", "[http]") {
    const std::string names[] = {"te",
                                 "via",
                                 "host",
                                 "range",
                                 "expect",
                                 "referer",
                                 "if-match",
                                 "forwarded",
                                 "connection",
                                 "traceparent",
                                 "content-type",
                                 "if-none-match",
                                 "content-length",
                                 "x-forwarded-for",
                                 "proxy-connection",
                                 "transfer-encoding",
                                 "if-unmodified-since"};
    for (const std::string& name : names) {
        CAPTURE(name);
        REQUIRE(known_field(name) != Known::other);
        for (std::size_t at = 0; at < name.size(); ++at) {
            for (const int flipped : {0x01, 0x10, 0x20, 0x40, 0x80}) {
                std::string other = name;
                other[at] = static_cast<char>(other[at] ^ flipped);
                const bool same_letter = flipped == 0x20 && name[at] != '-';
                CAPTURE(at, flipped);
                CHECK((known_field(other) == known_field(name)) == same_letter);
            }
        }
    }
}

TEST_CASE("there is no name of no or many bytes", "[http]") {
    CHECK(known_field("") == Known::other);
    CHECK(known_field("h") == Known::other);
    CHECK(known_field("x-content-security-policy") == Known::other);
}
