#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "worker/http/host.h"

using worker::http::equals_ignore_case;
using worker::http::host_name;
using worker::http::lower;
using worker::http::valid_host;

TEST_CASE("hosts as RFC 3986 has them are valid", "[http][host]") {
    for (const char* host : {"",
                             "a",
                             "example.org",
                             "Example.ORG:8080",
                             "example.org.",
                             "example.org.:80",
                             "127.0.0.1",
                             "127.0.0.1:80",
                             "a:",
                             "a:0",
                             "a:65535",
                             "a:00080",
                             "[::1]",
                             "[::1]:80",
                             "[::]:",
                             "[2001:db8::ff00:42:8329]",
                             "[::ffff:1.2.3.4]:1",
                             "under_score",
                             "a-b~c",
                             "x!$&'()*+,;=y",
                             "%41bc",
                             "xn--bcher-kva.example"}) {
        CAPTURE(host);
        CHECK(valid_host(host));
    }
}

TEST_CASE("everything else is refused", "[http][host]") {
    for (const char* host : {" ",
                             "a b",
                             "a\tb",
                             "a/b",
                             "a?b",
                             "a#b",
                             "a@b",
                             "user:pass@b",
                             ":",
                             ":80",
                             "a:b",
                             "a:8 0",
                             "a:+1",
                             "a:-1",
                             "a:65536",
                             "a:99999999999999999999",
                             "a:80:80",
                             ".",
                             "..",
                             "a..b",
                             ".a",
                             "a...",
                             "[",
                             "]",
                             "[]",
                             "[]:80",
                             "[::1",
                             "::1",
                             "[::1]a",
                             "[::1]:x",
                             "[:::1]",
                             "[1.2.3.4]",
                             "[::1%25eth0]",
                             "[::1%eth0]",
                             "[v1.x]",
                             "[g::]",
                             "%",
                             "%4",
                             "%4g",
                             "a%zz",
                             "a\"b",
                             "a<b",
                             "a>b",
                             "a\\b",
                             "a^b",
                             "a`b",
                             "a{b",
                             "a|b",
                             "a}b",
                             "\xC3\xA9",
                             "\x7f",
                             "[1:2:3:4:5:6:7:8:9]",
                             "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"}) {
        CAPTURE(host);
        CHECK_FALSE(valid_host(host));
    }
    using std::string_view_literals::operator""sv;
    CHECK_FALSE(valid_host("a\0b"sv));
    CHECK_FALSE(valid_host("[::1\0]"sv));
}

TEST_CASE("the name is without port and last dot", "[http][host]") {
    CHECK(host_name("example.org") == "example.org");
    CHECK(host_name("example.org:80") == "example.org");
    CHECK(host_name("example.org.:80") == "example.org");
    CHECK(host_name("example.org.") == "example.org");
    CHECK(host_name("[::1]:80") == "[::1]");
    CHECK(host_name("[::1]") == "[::1]");
    CHECK(host_name("").empty());
}

TEST_CASE("case is ignored for ASCII letters only", "[http][host]") {
    CHECK(equals_ignore_case("Content-Type", "content-tYPE"));
    CHECK(equals_ignore_case("", ""));
    CHECK_FALSE(equals_ignore_case("a", "ab"));
    CHECK_FALSE(equals_ignore_case("@", "`"));
    CHECK_FALSE(equals_ignore_case("[", "{"));
    CHECK(lower("AbZ[\xC3\x89") == "abz[\xC3\x89");

    char out[3];
    CHECK(lower("XyZ", out) == "xyz");
}
