#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "worker/http/target.h"

using worker::http::parse_target;
using worker::http::Target;

namespace {

/// The normalised path of a GET, or "refused".
std::string path_of(std::string_view raw) {
    std::string scratch;
    const auto target = parse_target("GET", raw, scratch);
    return target ? std::string(target->path) : "refused";
}

}  // namespace

TEST_CASE("a path that is normal already is a view into the raw target", "[http][target]") {
    const std::string raw = "/static/site.css?v=3";
    std::string scratch;
    const auto target = parse_target("GET", raw, scratch);
    REQUIRE(target);
    CHECK(target->path == "/static/site.css");
    CHECK(target->path.data() == raw.data());
    CHECK(target->query == "v=3");
    CHECK(target->has_query);
    CHECK(target->authority.empty());
    CHECK_FALSE(target->asterisk);
    CHECK(scratch.empty());
}

TEST_CASE("escapes are decoded exactly once", "[http][target]") {
    CHECK(path_of("/a%20b") == "/a b");
    CHECK(path_of("/%41%6a%6A") == "/Ajj");
    CHECK(path_of("/%2541") == "/%41");
    CHECK(path_of("/%252e%252e/x") == "/%2e%2e/x");
    CHECK(path_of("/%3Fa%23b") == "/?a#b");
    CHECK(path_of("/%C3%A9") == "/\xC3\xA9");
    CHECK(path_of("/%ff") == "/\xFF");
}

TEST_CASE("broken escapes are refused", "[http][target]") {
    for (const char* raw :
         {"/%", "/%4", "/%4/", "/%g1", "/%1g", "/%%41", "/a%?41", "/%-1", "/%+1", "/% 1", "/%\xff"}) {
        CAPTURE(raw);
        CHECK(path_of(raw) == "refused");
    }
}

TEST_CASE("dot segments go", "[http][target]") {
    CHECK(path_of("/a/./b") == "/a/b");
    CHECK(path_of("/a/../b") == "/b");
    CHECK(path_of("/a/b/../../c") == "/c");
    CHECK(path_of("/.") == "/");
    CHECK(path_of("/./") == "/");
    CHECK(path_of("/a/.") == "/a/");
    CHECK(path_of("/a/..") == "/");
    CHECK(path_of("/a/b/..") == "/a/");
    CHECK(path_of("/a/b/../") == "/a/");
    CHECK(path_of("/a//../b") == "/b");
}

TEST_CASE("names that only begin with dots stay", "[http][target]") {
    CHECK(path_of("/.well-known/x") == "/.well-known/x");
    CHECK(path_of("/...") == "/...");
    CHECK(path_of("/..a/.b./c..") == "/..a/.b./c..");
}

TEST_CASE("double slashes become one", "[http][target]") {
    CHECK(path_of("//") == "/");
    CHECK(path_of("//a") == "/a");
    CHECK(path_of("/a///b//") == "/a/b/");
    CHECK(path_of("/a/%2f/b") == "/a/b");
}

TEST_CASE("no spelling of two dots climbs above the root", "[http][target]") {
    for (const char* raw :
         {"/..", "/../", "/../etc/passwd", "/a/../..", "/a/../../etc", "/./..", "//..", "/%2e%2e/etc",
          "/%2E./etc", "/.%2e", "/..%2fetc", "/a%2f..%2f..%2fetc", "/a/%2e%2e/%2e%2e"}) {
        CAPTURE(raw);
        CHECK(path_of(raw) == "refused");
    }
    CHECK(path_of("/a%2f..%2fb") == "/b");
    CHECK(path_of("/a/..%2fb") == "/b");
}

TEST_CASE("control characters are refused, plain and escaped", "[http][target]") {
    for (int byte = 0; byte <= 0x7f; byte = byte == 0x20 ? 0x7f : byte + 1) {
        char escape[4];
        std::snprintf(escape, sizeof escape, "%%%02x", static_cast<unsigned>(byte));
        CAPTURE(byte);
        CHECK(path_of(std::string("/a") + static_cast<char>(byte) + "b") == "refused");
        CHECK(path_of(std::string("/a?") + static_cast<char>(byte)) == "refused");
        CHECK((path_of(std::string("/a") + escape) == "refused") == (byte != 0x20));
        if (byte == 0x7f) break;
    }
}

TEST_CASE("fragments and plain backslashes are refused", "[http][target]") {
    CHECK(path_of("/a#b") == "refused");
    CHECK(path_of("/a?b#c") == "refused");
    CHECK(path_of("/a\\..\\b") == "refused");
    CHECK(path_of("/a%5Cb") == "/a\\b");
    CHECK(path_of("/a?b\\c") == "/a");
}

TEST_CASE("bytes from 0x80 on are taken as they are", "[http][target]") {
    CHECK(path_of("/\xC3\xA9/\xFF") == "/\xC3\xA9/\xFF");
}

TEST_CASE("a query is kept as sent", "[http][target]") {
    std::string scratch;
    const auto target = parse_target("GET", "/a/../b?x=%2e%2e/../%zz?y", scratch);
    REQUIRE(target);
    CHECK(target->path == "/b");
    CHECK(target->query == "x=%2e%2e/../%zz?y");

    const auto empty = parse_target("GET", "/a?", scratch);
    REQUIRE(empty);
    CHECK(empty->has_query);
    CHECK(empty->query.empty());
    CHECK_FALSE(parse_target("GET", "/a", scratch)->has_query);
}

TEST_CASE("the absolute form gives its authority and its path", "[http][target]") {
    std::string scratch;
    const auto target = parse_target("GET", "HTTP://Example.org:8080/a/./b?q", scratch);
    REQUIRE(target);
    CHECK(target->authority == "Example.org:8080");
    CHECK(target->path == "/a/b");
    CHECK(target->query == "q");

    CHECK(parse_target("GET", "https://[::1]:443/", scratch)->authority == "[::1]:443");
    CHECK(path_of("http://a.org") == "/");
    const auto query = parse_target("GET", "http://a.org?q=1", scratch);
    REQUIRE(query);
    CHECK(query->path == "/");
    CHECK(query->query == "q=1");
    CHECK(query->authority == "a.org");
}

TEST_CASE("an absolute form with a bad authority is refused", "[http][target]") {
    for (const char* raw :
         {"http://", "http:///a", "http://?q", "http://user@a.org/", "http://user:pass@a.org/", "http://a b/",
          "http://a.org:x/", "http://a.org:65536/", "http://[::1/", "http://a.org#f", "http://a\\b/",
          "http:/a", "http:a", "ftp://a.org/", "file:///etc/passwd", "http//a.org/"}) {
        CAPTURE(raw);
        CHECK(path_of(raw) == "refused");
    }
}

TEST_CASE("the asterisk is for OPTIONS alone", "[http][target]") {
    std::string scratch;
    const auto target = parse_target("OPTIONS", "*", scratch);
    REQUIRE(target);
    CHECK(target->asterisk);
    CHECK(target->path == "/");
    CHECK(path_of("*") == "refused");
    CHECK_FALSE(parse_target("OPTIONS", "**", scratch));
    CHECK_FALSE(parse_target("OPTIONS", "*?q", scratch));

    CHECK(parse_target("OPTIONS", "http://a.org", scratch)->asterisk);
    CHECK_FALSE(parse_target("OPTIONS", "http://a.org/", scratch)->asterisk);
    CHECK_FALSE(parse_target("OPTIONS", "http://a.org?q", scratch)->asterisk);
}

TEST_CASE("CONNECT and targets of no form are refused", "[http][target]") {
    std::string scratch;
    CHECK_FALSE(parse_target("CONNECT", "a.org:443", scratch));
    CHECK_FALSE(parse_target("CONNECT", "/a", scratch));
    CHECK(path_of("a.org:443") == "refused");
    CHECK(path_of("") == "refused");
    CHECK(path_of("?q") == "refused");
    CHECK(path_of("a/b") == "refused");
    CHECK(path_of("%2f") == "refused");
}

TEST_CASE("scratch is reused and never touched by a normal path", "[http][target]") {
    std::string scratch;
    REQUIRE(parse_target("GET", "/a/long/path/that/needs/%41/buffer/of/its/own", scratch));
    const char* const buffer = scratch.data();
    const auto target = parse_target("GET", "/b/../c", scratch);
    REQUIRE(target);
    CHECK(target->path.data() == buffer);
    CHECK(target->path == "/c");
}
