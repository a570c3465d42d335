#include "worker/http/parser.h"

#include "tests/fuzz/http1_property.h"

using worker::http::Known;
using worker::http::Parsed;
using worker::http::Parser;
using worker::http::Request;
using worker::http::Status;

namespace {

constexpr std::uint64_t head_max = 4096, uri_max = 512;

Status refusal_of(std::string_view bytes) { return fuzz::listen(bytes, bytes.size()).refusal; }

std::string get_with(const std::string& lines) { return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"; }

}  // namespace

TEST_CASE("a head gives its method, target, version and fields", "[http]") {
    Request request;
    Parser parser;
    parser.reset(request, head_max, uri_max);
    const std::string bytes =
        "GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nX-Odd:   two words \t\r\nEmpty:\r\n\r\nrest";
    REQUIRE(parser.head(bytes) == Parsed::complete);
    CHECK(request.head_size == bytes.size() - 4);
    CHECK(request.method() == "GET");
    CHECK(request.raw_target() == "/a?b=c");
    CHECK(request.minor == 1);
    CHECK(request.value(Known::host) == "example.org");
    REQUIRE(request.fields.size() == 3);
    CHECK(request.view(request.fields[1].name) == "X-Odd");
    CHECK(request.view(request.fields[1].value) == "two words");
    CHECK(request.view(request.fields[2].value).empty());
    CHECK(parser.keep_alive());
}

TEST_CASE("a head cut at any byte is the same head", "[http]") {
    const std::string bytes =
        "POST /upload?x=1 HTTP/1.1\r\nHost: a.example:81\r\nContent-Length: 3\r\nAccept: */*\r\n\r\nabc";
    const fuzz::Heard whole = fuzz::listen(bytes, bytes.size());
    REQUIRE(whole.requests.size() == 1);
    for (std::size_t step = 1; step < bytes.size(); ++step) {
        CAPTURE(step);
        CHECK(fuzz::listen(bytes, step) == whole);
    }
}

TEST_CASE("a request cut short is incomplete, not refused and not complete", "[http]") {
    const std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        CAPTURE(size);
        const fuzz::Heard heard = fuzz::listen(std::string_view(bytes).substr(0, size), size);
        CHECK(heard.requests.empty());
        CHECK(heard.refusal == 0);
    }
}

TEST_CASE("framing that two readers could take for two things is refused with 400", "[http]") {
    const std::vector<std::string> lines{
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: \x0b"
        "chunked\r\n",
        "Content-Length : 1\r\n",
        "Transfer-Encoding : chunked\r\n",
        " Content-Length: 1\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X:\r\n b\r\n",
        "Content-Length:\r\n 5\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: a\rb\r\n",
        "X: a\nY: b\r\n",
        "X: a\n",
        "X\r\n",
        ": x\r\n",
        "X y: z\r\n",
        "Host: b\r\n",
    };
    for (const std::string& line : lines) {
        CAPTURE(line);
        CHECK(refusal_of(get_with(line)) == 400);
    }
    CHECK(refusal_of(get_with(std::string("X: a\0b\r\n", 8))) == 400);
    CHECK(refusal_of(get_with(std::string("X\0: a\r\n", 7))) == 400);
    CHECK(refusal_of("GET / HTTP/1.1\nHost: a\n\n") == 400);
    CHECK(refusal_of("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
}

TEST_CASE("only chunked is a transfer coding we know", "[http]") {
    CHECK(refusal_of(get_with("Transfer-Encoding: gzip, chunked\r\n")) == 501);
    CHECK(refusal_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n") == 0);
}

TEST_CASE("a host is needed once, and must be one", "[http]") {
    CHECK(refusal_of("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal_of("GET / HTTP/1.0\r\n\r\n") == 0);
    CHECK(refusal_of("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") == 400);
    CHECK(refusal_of("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") == 400);
    CHECK(refusal_of("GET / HTTP/1.1\r\nHost: me@a\r\n\r\n") == 400);
    CHECK(refusal_of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
}

TEST_CASE("what is not a request line is refused with its own status", "[http]") {
    CHECK(refusal_of("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n") == 501);
    CHECK(refusal_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == 505);
    CHECK(refusal_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505);
    CHECK(refusal_of("GET / HTTP/1.2\r\nHost: a\r\n\r\n") == 505);
    CHECK(refusal_of("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal_of("GET / HTTX/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal_of("G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal_of("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") == 400);
}

TEST_CASE("heads over their limits are refused with the limit's status", "[http]") {
    const std::string long_uri = "GET /" + std::string(uri_max, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
    CHECK(refusal_of(long_uri) == 414);
    CHECK(fuzz::listen(long_uri, 10).refusal == 414);
    const std::string long_field = get_with("X: " + std::string(head_max, 'a') + "\r\n");
    CHECK(refusal_of(long_field) == 431);
    CHECK(fuzz::listen(long_field, 10).refusal == 431);
    std::string many;
    for (int i = 0; i < 300; ++i) many += "A:b\r\n";
    CHECK(refusal_of(get_with(many)) == 431);
    CHECK(refusal_of("GET /" + std::string(uri_max - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
}

TEST_CASE("bad chunks are refused", "[http]") {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const std::string chunk :
         {"x\r\n", "5\r\nhelloX\r\n", "-1\r\n", "5 \r\nhello\r\n0\r\n\r\n", "fffffffffffffffff\r\n",
          "5\nhello\r\n0\r\n\r\n", "0\r\nbad trailer\r\n\r\n", "\r\n5\r\nhello\r\n"}) {
        CAPTURE(chunk);
        CHECK(refusal_of(head + chunk) == 400);
    }
    const std::string endless_extension = head + "1;" + std::string(100'000, 'e');
    CHECK(refusal_of(endless_extension) == 400);
}

TEST_CASE("the lines between chunks end with CR LF and nothing else", "[http]") {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for (const std::string body :
         {"5\r\nhelloXX0\r\n\r\n", "5\r\nhello\nX0\r\n\r\n", "5\r\nhello\r\n0\r\n\rX",
          "5\r\nhello\r\n0\r\n\n", "5\r\nhello\r\n0\r\n\nX", "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
          "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\nA: b\n\r\n", "5;x\n\r\nhello\r\n0\r\n\r\n"}) {
        CAPTURE(body);
        const std::string bytes = head + body + next;
        for (const std::size_t step : {std::size_t{1}, std::size_t{5}, bytes.size()}) {
            const fuzz::Heard heard = fuzz::listen(bytes, step);
            CHECK(heard.refusal == 400);
            CHECK(heard.requests.empty());
        }
    }
    CHECK(fuzz::listen(head + "5;e=\"x\"\r\nhello\r\n0\r\nA: b\r\n\r\n" + next, 3).requests.size() == 2);
}

TEST_CASE("a tunnel is refused whole, so that its bytes are no requests", "[http]") {
    const std::string inner = "GET /inner HTTP/1.1\r\nHost: b\r\n\r\n";
    const fuzz::Heard heard =
        fuzz::listen("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(inner.size()) +
                         "\r\n\r\n" + inner,
                     1000);
    CHECK(heard.refusal == 501);
    CHECK(heard.requests.empty());
}

TEST_CASE("pipelined requests are told apart to the byte", "[http]") {
    const std::string bytes =
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\nGET /4 "
        "HTTP/1.0\r\n\r\n";
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        CAPTURE(step);
        const fuzz::Heard heard = fuzz::listen(bytes, step);
        CHECK(heard.refusal == 0);
        REQUIRE(heard.requests.size() == 4);
        CHECK(heard.requests[0].starts_with("POST /1"));
        CHECK(heard.requests[1].starts_with("GET /2"));
        CHECK(heard.requests[2].starts_with("POST /3"));
        CHECK(heard.requests[3].starts_with("GET /4"));
    }
}

TEST_CASE("a connection persists as the version and the client say", "[http]") {
    const auto persists = [](const std::string& bytes) {
        const fuzz::Heard heard = fuzz::listen(bytes, bytes.size());
        REQUIRE(heard.requests.size() == 1);
        return heard.requests[0].ends_with("keeps");
    };
    CHECK(persists("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    CHECK_FALSE(persists("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    CHECK_FALSE(persists("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
    CHECK_FALSE(persists("GET / HTTP/1.0\r\n\r\n"));
    CHECK(persists("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    CHECK(persists("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"));
}

TEST_CASE("a kept request reads the same after its bytes are gone", "[http]") {
    Request request;
    Parser parser;
    parser.reset(request, head_max, uri_max);
    {
        const std::string bytes = "GET /kept HTTP/1.1\r\nHost: example.org\r\n\r\n";
        REQUIRE(parser.head(bytes) == Parsed::complete);
        request.target.path = request.raw_target();
        request.host = request.value(Known::host);
        request.keep();
    }
    CHECK(request.method() == "GET");
    CHECK(request.target.path == "/kept");
    CHECK(request.host == "example.org");
}
