#include "worker/http/plain_head.h"

#include <string>

#include "tests/fuzz/http1_property.h"

using worker::http::Known;
using worker::http::PlainHead;
using worker::http::read_plain_head;
using worker::http::Request;

namespace {

std::string get_with(const std::string& lines) { return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"; }

bool is_plain(const std::string& bytes) {
    Request request;
    const bool plain = read_plain_head(bytes, request).size > 0;
    if (!plain) {
        CHECK(request.fields.empty());
        CHECK(request.method().empty());
        CHECK_FALSE(request.has(Known::host));
    }
    return plain;
}

}  // namespace

TEST_CASE("a plain head is read in one pass", "[http]") {
    Request request;
    const std::string head =
        "HEAD /a?b=c HTTP/1.1\r\nhost:example.org:81\r\nX-Odd:   two words  \r\nEmpty:\r\nUser-Agent: "
        "\r\n\r\n";
    const std::string bytes = head + "GET /next";
    const PlainHead read = read_plain_head(bytes, request);
    REQUIRE(read.size == head.size());
    CHECK(read.keep_alive);
    CHECK(request.is_head());
    CHECK(request.raw_target() == "/a?b=c");
    CHECK(request.value(Known::host) == "example.org:81");
    REQUIRE(request.fields.size() == 4);
    CHECK(request.view(request.fields[1].name) == "X-Odd");
    CHECK(request.view(request.fields[1].value) == "two words");
    CHECK(request.view(request.fields[2].value).empty());
    CHECK(request.has(Known::user_agent));
    CHECK(request.value(Known::user_agent).empty());
}

TEST_CASE("what real clients send is plain", "[http]") {
    CHECK(is_plain("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"));
    CHECK(is_plain("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"));
    CHECK(
        is_plain(get_with("Connection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"1\"\r\nCookie: a=b; c=d\r\n"
                          "Accept-Encoding: gzip, deflate, br\r\nRange: bytes=0-1\r\n")));
}

TEST_CASE("a plain head says whether its connection persists", "[http]") {
    Request request;
    CHECK(read_plain_head(get_with("Connection: Keep-Alive\r\n"), request).keep_alive);
    request.clear();
    CHECK_FALSE(read_plain_head(get_with("Connection: close\r\n"), request).keep_alive);
    request.clear();
    CHECK_FALSE(
        read_plain_head(get_with("Connection: close\r\nConnection: keep-alive\r\n"), request).keep_alive);
}

TEST_CASE("what could be read in two ways is left to the parser", "[http]") {
    for (const char* head :
         {"POST / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
          "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
          "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "get / HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET / http/1.1\r\nHost: a\r\n\r\n", ""}) {
        CAPTURE(head);
        CHECK_FALSE(is_plain(head));
    }
    for (const char* lines : {"Host: b\r\n",
                              "Content-Length: 0\r\n",
                              "Content-Length: 3\r\n",
                              "Transfer-Encoding: chunked\r\n",
                              "Upgrade: h2c\r\n",
                              "Connection: upgrade\r\n",
                              "Connection: close, x\r\n",
                              "Connection:\r\n",
                              "Connection: close \r\n",
                              "Expect: 100-continue\r\n",
                              "TE: trailers\r\n",
                              "Trailer: x\r\n",
                              "Proxy-Connection: close\r\n",
                              "X : y\r\n",
                              ": y\r\n",
                              "X\r\n",
                              " X: y\r\n",
                              "X: y\r\n z\r\n",
                              "X: y\n",
                              "X: y\rz\r\n",
                              "X: y\r\r\n",

                              "X: \x7f\r\n",
                              "X: \x01\r\n",
                              "X\xff: y\r\n"}) {
        CAPTURE(lines);
        CHECK_FALSE(is_plain(get_with(lines)));
    }
    CHECK_FALSE(is_plain(get_with(std::string("X: a\0b\r\n", 8))));
    CHECK_FALSE(is_plain(std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 29)));
}

TEST_CASE("a head that is not whole is not plain", "[http]") {
    const std::string head = get_with("User-Agent: someone with a long name\r\n");
    REQUIRE(is_plain(head));
    for (std::size_t size = 0; size < head.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(is_plain(head.substr(0, size)));
    }
}

TEST_CASE("odd bytes are found at every place of a value", "[http]") {
    for (std::size_t size = 1; size < 40; ++size) {
        for (std::size_t at = 0; at < size; ++at) {
            for (const char odd : {'\0', '\n', '\r', '\x1f', '\x7f'}) {
                std::string value(size, 'v');
                value[at] = odd;
                CAPTURE(size, at, static_cast<int>(odd));
                CHECK_FALSE(is_plain(get_with("X: " + value + "\r\n")));
            }
        }
        CHECK(is_plain(get_with("X: " + std::string(size, '~') + "\r\n")));
    }
}

TEST_CASE("the parser takes a plain head for the same, byte by byte", "[http]") {
    const std::string plain =
        "GET /a/b?c HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    REQUIRE(is_plain(plain));
    CHECK(fuzz::listen(plain + plain, 2 * plain.size()) == fuzz::listen(plain + plain, 1));
    CHECK(fuzz::listen("GET /" + std::string(600, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 4096).refusal ==
          414);
    CHECK(fuzz::listen(get_with("X: " + std::string(5000, 'x') + "\r\n"), 8192).refusal == 431);
    CHECK(fuzz::listen("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 4096).refusal == 400);
    std::string many;
    for (int i = 0; i < 257; ++i) many += "X:\r\n";
    CHECK(fuzz::listen(get_with(many), 4096).refusal == 431);
}

TEST_CASE("a field's line is read whatever text its value is", "[http]") {
    for (const std::string value :
         {"a\tb", "\xc3\xa4 and more than a word\t\x80", "12345678\t", "1234567\xff", ""}) {
        CAPTURE(value);
        const std::string bytes = "before: x\r\nName: \t" + value + " \t\r\nafter";
        worker::http::Field field;
        std::size_t at = 11;
        REQUIRE(worker::http::read_field(bytes, at, field));
        CHECK(bytes.substr(field.name.at, field.name.size) == "Name");
        CHECK(bytes.substr(field.value.at, field.value.size) ==
              value.substr(0, value.find_last_not_of('\t') + 1));
        CHECK(bytes.substr(at) == "after");
    }
}
