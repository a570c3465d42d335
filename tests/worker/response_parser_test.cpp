#include "worker/http/response_parser.h"

#include "tests/fuzz/response_property.h"

using worker::http::Framing;
using worker::http::Known;
using worker::http::Parsed;
using worker::http::ResponseHead;
using worker::http::ResponseParser;

namespace {

constexpr std::uint64_t head_max = 4096;

/// A head that came in one piece, with what follows it.
struct Answer {
    explicit Answer(std::string_view text, bool bodiless = false, std::uint64_t max = head_max)
        : bytes(text) {
        parser.reset(head, bodiless, max);
        parsed = parser.head(bytes);
    }

    std::string bytes;
    ResponseHead head;
    ResponseParser parser;
    Parsed parsed = Parsed::more;
};

std::string ok_with(const std::string& lines) { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n"; }

/// Why the head is refused; empty: it is not.
std::string complaint_of(std::string_view bytes, bool bodiless = false) {
    const Answer answer(bytes, bodiless);
    return answer.parsed == Parsed::refused ? std::string(answer.parser.complaint()) : "";
}

constexpr std::string_view malformed = "its header is malformed", ambiguous = "its framing is ambiguous";

Framing framing_of(std::string_view bytes, bool bodiless = false) {
    const Answer answer(bytes, bodiless);
    REQUIRE(answer.parsed == Parsed::head);
    return answer.parser.framing();
}

bool keeps_alive(std::string_view bytes, bool bodiless = false) {
    const Answer answer(bytes, bodiless);
    REQUIRE(answer.parsed == Parsed::head);
    return answer.parser.keep_alive();
}

/// A chunked body that came `step` bytes at a time, behind a usual head.
struct Chunked {
    explicit Chunked(const std::string& body, std::size_t step = ~std::size_t{0})
        : answer(ok_with("Transfer-Encoding: chunked\r\n")) {
        REQUIRE(answer.parsed == Parsed::head);
        for (std::size_t at = 0; at < body.size() && parsed == Parsed::more; at += step) {
            const std::vector<char> piece(body.begin() + static_cast<std::ptrdiff_t>(at),
                                          body.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                             body.size(), at + std::min(step, body.size()))));
            parsed = answer.parser.body(piece, taken);
            for (const auto part : answer.parser.payload()) payload.append(part);
            if (step > body.size()) break;
        }
    }
    [[nodiscard]] const std::string& trailers() const { return answer.parser.trailers(); }

    Answer answer;
    Parsed parsed = Parsed::more;
    std::string payload;
    std::size_t taken = 0;
};

}  // namespace

// ---- the head -----------------------------------------------------------------------------------

TEST_CASE("a response's head gives its status, version and fields", "[response]") {
    const Answer answer(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nX-Odd:   two words \t\r\nEmpty:\r\nSet-Cookie: a\r\n"
        "Set-Cookie: b\r\n\r\nabc");
    REQUIRE(answer.parsed == Parsed::head);
    CHECK(answer.head.head_size == answer.bytes.size() - 3);
    CHECK(answer.head.status == 404);
    CHECK(answer.head.minor == 1);
    REQUIRE(answer.head.fields.size() == 5);
    CHECK(answer.head.view(answer.head.fields[1].name) == "X-Odd");
    CHECK(answer.head.view(answer.head.fields[1].value) == "two words");
    CHECK(answer.head.view(answer.head.fields[2].value).empty());
    CHECK(answer.head.count(Known::set_cookie) == 2);
    CHECK(answer.head.value(Known::content_length) == "3");
}

TEST_CASE("a reason may be missing, with or without its space, and may have spaces and bytes above ASCII",
          "[response]") {
    for (const std::string line : {"HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 all  is\tfine ",
                                   "HTTP/1.1 200 sch\xc3\xb6n", "HTTP/1.0 200 OK"}) {
        CAPTURE(line);
        CHECK(complaint_of(line + "\r\nContent-Length: 0\r\n\r\n").empty());
    }
}

TEST_CASE("a response without fields is one", "[response]") {
    CHECK(Answer("HTTP/1.1 200 OK\r\n\r\n").parsed == Parsed::head);
}

TEST_CASE("a head cut short is incomplete, neither refused nor complete", "[response]") {
    const std::string bytes = ok_with("Content-Length: 3\r\nX-A: b\r\n");
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        CHECK(Answer(bytes.substr(0, size)).parsed == Parsed::more);
    }
}

TEST_CASE("responses cut at any byte are the same responses", "[response]") {
    const std::string bytes =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: "
        "y\r\n\r\n"
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        "HTTP/1.0 200 OK\r\n\r\nuntil the end";
    const fuzz::Answers whole = fuzz::hear(bytes, bytes.size(), false);
    REQUIRE(whole.responses.size() == 4);
    CHECK(whole.responses[1] ==
          "200 chunked keeps\r\nTransfer-Encoding: chunked\r\n\r\nhello0123456789\r\nX: y\r\n");
    CHECK(whole.responses[2] == "304 none keeps\r\nContent-Length: 9\r\n\r\n\r\n");
    CHECK(whole.payload == "until the end");
    CHECK_FALSE(whole.refused);
    for (std::size_t step = 1; step < bytes.size(); ++step) {
        CAPTURE(step);
        CHECK(fuzz::hear(bytes, step, false) == whole);
    }
}

TEST_CASE("a head that comes whole is judged as one that comes byte by byte", "[response]") {
    for (const std::string lines : {"",
                                    "Content-Length: 5\r\n",
                                    "content-LENGTH:5 \t\r\n",
                                    "Content-Length: 0\r\n",
                                    "Content-Length:\t5\r\n",
                                    "Connection: close \t\r\n",
                                    "Connection:\tclose\r\n",
                                    "Content-Length:\r\n",
                                    "Content-Length: 5 5\r\n",
                                    "Content-Length: 5\r\nContent-Length: 5\r\n",
                                    "Content-Length: 18446744073709551615\r\n",
                                    "Content-Length: 18446744073709551616\r\n",
                                    "Connection: close\r\n",
                                    "Connection: Keep-Alive\r\n",
                                    "Connection: x, close\r\n",
                                    "Connection: keep-alive\r\nConnection: close\r\n",
                                    "Proxy-Connection: close\r\n",
                                    "Upgrade: x\r\n",
                                    "X:\r\n",
                                    "X: \r\n",
                                    "X: a\tb \r\n",
                                    "X: \x80\xff\r\n",
                                    "X: \x7f\r\n",
                                    "X: \x01\r\n",
                                    "X : a\r\n",
                                    "X\r\n",
                                    ": a\r\n",
                                    "X: a\r\n b\r\n",
                                    " X: a\r\n",
                                    "X: a\nY: b\r\n",
                                    "X: a\rY: b\r\n",
                                    "X(: a\r\n"}) {
        for (const std::string begin :
             {"HTTP/1.1 200 OK\r\n", "HTTP/1.0 304\r\n", "HTTP/1.1 599 \x80 a\r\n"}) {
            const std::string bytes = begin + lines + "\r\n" + "abcde";
            CAPTURE(bytes);
            CHECK(fuzz::hear(bytes, bytes.size(), false) == fuzz::hear(bytes, 1, false));
        }
    }
}

// ---- RFC 9112 6.3: where a body ends ------------------------------------------------------------

TEST_CASE("6.3 (1): an answer to HEAD has no body, whatever its fields say", "[response]") {
    for (const std::string lines : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""}) {
        CAPTURE(lines);
        CHECK(framing_of(ok_with(lines), true) == Framing::none);
        CHECK(keeps_alive(ok_with(lines), true));
    }
    CHECK(Answer(ok_with("Content-Length: 5\r\n"), true).parser.content_length() == 5);
}

TEST_CASE("6.3 (1): 1xx, 204 and 304 have no body, whatever their fields say", "[response]") {
    for (const std::string status : {"100", "101", "102", "103", "199", "204", "304"}) {
        for (const std::string lines : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""}) {
            CAPTURE(status, lines);
            const std::string bytes = "HTTP/1.1 " + status + " X\r\n" + lines + "\r\n";
            CHECK(framing_of(bytes) == Framing::none);
            CHECK(keeps_alive(bytes));
        }
    }
}

TEST_CASE("6.3 (1): statuses beside those have a body", "[response]") {
    for (const std::string status : {"200", "203", "205", "206", "303", "305", "400", "500", "599"}) {
        CAPTURE(status);
        CHECK(framing_of("HTTP/1.1 " + status + " X\r\nContent-Length: 5\r\n\r\n") == Framing::length);
        CHECK(framing_of("HTTP/1.1 " + status + " X\r\n\r\n") == Framing::until_end);
    }
}

TEST_CASE("6.3 (3): both framings at once are refused, in either order, to HEAD and with 304 too",
          "[response]") {
    const std::string length = "Content-Length: 5\r\n", coding = "Transfer-Encoding: chunked\r\n";
    CHECK(complaint_of(ok_with(length + coding)) != "");
    CHECK(complaint_of(ok_with(coding + length)) != "");
    CHECK(complaint_of(ok_with(length + coding), true) != "");
    CHECK(complaint_of("HTTP/1.1 304 X\r\n" + coding + length + "\r\n") != "");
}

TEST_CASE("6.3 (4): chunked is the framing where the coding says so, in any case", "[response]") {
    CHECK(framing_of(ok_with("Transfer-Encoding: chunked\r\n")) == Framing::chunked);
    CHECK(framing_of(ok_with("transfer-encoding:CHUNKED \r\n")) == Framing::chunked);
}

TEST_CASE("6.3 (4): any coding but chunked alone is refused", "[response]") {
    for (const std::string value :
         {"gzip", "gzip, chunked", "chunked, gzip", "identity", "chunked, chunked", "", "chunked;q=1",
          "\"chunked\"", "xchunked", "chunke", "chunked,", ",chunked"}) {
        CAPTURE(value);
        CHECK(complaint_of(ok_with("Transfer-Encoding: " + value + "\r\n")) != "");
    }
    CHECK(complaint_of(ok_with("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")) != "");
    CHECK(complaint_of(ok_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")) != "");
}

TEST_CASE("6.1: a transfer coding in HTTP/1.0 is refused", "[response]") {
    CHECK(complaint_of("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == ambiguous);
}

TEST_CASE("6.3 (5): several lengths are refused, equal ones too", "[response]") {
    for (const std::string lines :
         {"Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: 1\r\nContent-Length: 1\r\n",
          "Content-Length: 1, 1\r\n", "Content-Length: 1,2\r\n",
          "content-length: 0\r\nCONTENT-LENGTH: 0\r\n"}) {
        CAPTURE(lines);
        CHECK(complaint_of(ok_with(lines)) != "");
        CHECK(complaint_of(ok_with(lines), true) != "");
    }
}

TEST_CASE("6.3 (5): what is no number of bytes is refused", "[response]") {
    for (const std::string value : {"+1", "-1", "0x1", "1 2", "a", "1a", "1.0", "\"1\"", "1;", "", " ",
                                    "18446744073709551616", "99999999999999999999999"}) {
        CAPTURE(value);
        CHECK(complaint_of(ok_with("Content-Length: " + value + "\r\n")) != "");
    }
}

TEST_CASE("6.3 (6): a length is the framing, the largest there is too", "[response]") {
    const Answer small(ok_with("Content-Length: 007 \r\n"));
    CHECK(small.parser.framing() == Framing::length);
    CHECK(small.parser.content_length() == 7);
    const Answer large(ok_with("Content-Length: 9223372036854775807\r\n"));
    REQUIRE(large.parsed == Parsed::head);
    CHECK(large.parser.content_length() == 9223372036854775807u);
}

TEST_CASE("6.3 (6): a length of nothing is no body", "[response]") {
    CHECK(framing_of(ok_with("Content-Length: 0\r\n")) == Framing::none);
    CHECK(keeps_alive(ok_with("Content-Length: 0\r\n")));
}

TEST_CASE("6.3 (8): without a length the body ends with the connection", "[response]") {
    for (const std::string version : {"HTTP/1.0", "HTTP/1.1"}) {
        for (const std::string lines : {"", "Connection: keep-alive\r\n"}) {
            CAPTURE(version, lines);
            CHECK(framing_of(version + " 200 OK\r\n" + lines + "\r\n") == Framing::until_end);
            CHECK_FALSE(keeps_alive(version + " 200 OK\r\n" + lines + "\r\n"));
        }
    }
}

// ---- RFC 9112 9.3: whether the connection may be used again --------------------------------------

TEST_CASE("a connection persists in 1.1 unless it says close, in 1.0 only if it says keep-alive",
          "[response]") {
    const auto keeps = [](const std::string& version, const std::string& connection) {
        return keeps_alive(version + " 200 OK\r\nContent-Length: 1\r\n" + connection + "\r\n");
    };
    CHECK(keeps("HTTP/1.1", ""));
    CHECK(keeps("HTTP/1.1", "Connection: keep-alive\r\n"));
    CHECK(keeps("HTTP/1.1", "Connection: X-Other\r\n"));
    CHECK_FALSE(keeps("HTTP/1.1", "Connection: close\r\n"));
    CHECK_FALSE(keeps("HTTP/1.1", "Connection: Close\r\n"));
    CHECK_FALSE(keeps("HTTP/1.1", "Connection: X-Other, close\r\n"));
    CHECK_FALSE(keeps("HTTP/1.1", "Connection: close, X-Other\r\n"));
    CHECK_FALSE(keeps("HTTP/1.1", "Connection: X-Other\r\nConnection: close\r\n"));
    CHECK_FALSE(keeps("HTTP/1.0", ""));
    CHECK(keeps("HTTP/1.0", "Connection: keep-alive\r\n"));
    CHECK(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    CHECK_FALSE(keeps("HTTP/1.0", "Connection: close\r\n"));
}

TEST_CASE("close wins over keep-alive", "[response]") {
    for (const std::string version : {"HTTP/1.0", "HTTP/1.1"}) {
        for (const std::string value : {"close, keep-alive", "keep-alive, close", "keep-alive,close"}) {
            CAPTURE(version, value);
            CHECK_FALSE(
                keeps_alive(version + " 200 OK\r\nContent-Length: 1\r\nConnection: " + value + "\r\n\r\n"));
        }
        CHECK_FALSE(keeps_alive(version + " 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n"
                                          "Connection: keep-alive\r\n\r\n"));
    }
}

TEST_CASE("a chunked response and one without a body keep the connection as one with a length does",
          "[response]") {
    CHECK(keeps_alive(ok_with("Transfer-Encoding: chunked\r\n")));
    CHECK_FALSE(keeps_alive(ok_with("Transfer-Encoding: chunked\r\nConnection: close\r\n")));
    CHECK_FALSE(keeps_alive("HTTP/1.1 204 X\r\nConnection: close\r\n\r\n"));
    CHECK_FALSE(keeps_alive("HTTP/1.0 304 X\r\n\r\n"));
}

// ---- what could be taken for two things ----------------------------------------------------------

TEST_CASE("a head with lines that others would take for something else is refused", "[response]") {
    const std::vector<std::string> lines{
        "Content-Length : 1\r\n",
        "X : a\r\n",
        " X: a\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X:\r\n b\r\n",
        "X: a\rb\r\n",
        "X: a\r\r\n",
        "X: a\nY: b\r\n",
        "X: a\n",
        "X\r\n",
        ": x\r\n",
        "X y: z\r\n",
        "Content-Length:\r\n 5\r\n",
        "X\t: a\r\n",
        "X(: a\r\n",
        "X\x80: a\r\n",
        "\"X\": a\r\n",
        "X: a\x01\r\n",
        "X: a\x7f\r\n",
    };
    for (const std::string& line : lines) {
        CAPTURE(line);
        CHECK(complaint_of(ok_with(line)) != "");
        CHECK(complaint_of(ok_with("A: b\r\n" + line)) != "");
    }
    CHECK(complaint_of(ok_with(std::string("X: a\0b\r\n", 8))) == malformed);
    CHECK(complaint_of(ok_with(std::string("X\0: a\r\n", 7))) == malformed);
}

TEST_CASE("bare line feeds and bare carriage returns end no line of a head", "[response]") {
    CHECK(complaint_of("HTTP/1.1 200 OK\nContent-Length: 1\n\n") == malformed);
    CHECK(complaint_of("HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\n") == malformed);
    CHECK(complaint_of("HTTP/1.1 200 OK\rContent-Length: 1\r\n\r\n") == malformed);
    CHECK(complaint_of("HTTP/1.1 200 OK\r\nContent-Length: 1\n\r\n") == malformed);
    CHECK(complaint_of("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\n") == malformed);
    CHECK(complaint_of("HTTP/1.1 200\nContent-Length: 1\r\n\r\n") == malformed);
}

TEST_CASE("what is no status line is refused", "[response]") {
    const std::vector<std::string> lines{
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 2",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 0200 OK",
        "HTTP/1.1 +200 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200OK",
        "http/1.1 200 OK",
        "HTTP 200 OK",
        "HTTP/1 200 OK",
        "HTTP/1.10 200 OK",
        "HTTP/11 200 OK",
        "HTTP/1.x 200 OK",
        "HTTPS/1.1 200 OK",
        "ICY 200 OK",
        "RTSP/1.0 200 OK",
        "200 OK",
        "<html>",
        "GET / HTTP/1.1",
        "SSH-2.0-OpenSSH_9",
        "HTTP/1.1 200 a\x01",
        "HTTP/1.1 200 a\x7f",
        "\x15\x03\x01",
    };
    for (const std::string& line : lines) {
        CAPTURE(line);
        CHECK(complaint_of(line + "\r\nContent-Length: 1\r\n\r\n") != "");
    }
    CHECK(complaint_of("\r\nHTTP/1.1 200 OK\r\n\r\n") == malformed);
    CHECK(complaint_of(std::string("HTTP/1.1 200 a\0b\r\n\r\n", 20)) == malformed);
}

TEST_CASE("versions beside 1.0 and 1.1 are refused", "[response]") {
    for (const std::string version : {"HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/2", "HTTP/3.0"}) {
        CAPTURE(version);
        CHECK(complaint_of(version + " 200 OK\r\nContent-Length: 1\r\n\r\n") != "");
    }
}

TEST_CASE("statuses are 100 to 599", "[response]") {
    for (const std::string status : {"000", "001", "099", "600", "999"}) {
        CAPTURE(status);
        CHECK(complaint_of("HTTP/1.1 " + status + " X\r\nContent-Length: 1\r\n\r\n") == "its status is none");
    }
    for (const std::string status : {"100", "200", "299", "499", "599"}) {
        CAPTURE(status);
        CHECK(complaint_of("HTTP/1.1 " + status + " X\r\nContent-Length: 1\r\n\r\n").empty());
    }
}

TEST_CASE("what is refused is refused at the same byte or before it, however it comes", "[response]") {
    for (const std::string bytes : {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                                    "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
                                    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 999 OK\r\n\r\n",
                                    "HTTP/1.1 200 OK\nX: a\r\n\r\n"}) {
        CAPTURE(bytes);
        for (std::size_t step = 1; step <= bytes.size(); ++step)
            CHECK(fuzz::hear(bytes, step, false).refused);
    }
}

// ---- bounds --------------------------------------------------------------------------------------

TEST_CASE("256 fields are taken, one more is refused", "[response]") {
    std::string lines;
    for (int field = 0; field < 256; ++field) lines += "a: b\r\n";
    CHECK(Answer(ok_with(lines)).parsed == Parsed::head);
    CHECK(complaint_of(ok_with(lines + "a: b\r\n")) == "its header has too many fields");
}

TEST_CASE("a head of as many bytes as it may have is taken, one more byte is refused", "[response]") {
    const std::string bytes = ok_with("X: " + std::string(100, 'x') + "\r\n");
    CHECK(Answer(bytes + "body", false, bytes.size()).parsed == Parsed::head);
    const Answer larger(bytes, false, bytes.size() - 1);
    CHECK(larger.parsed == Parsed::refused);
    CHECK(larger.parser.complaint() == "its header is too large");
}

TEST_CASE("a head that never ends is refused at its bound", "[response]") {
    std::string bytes = "HTTP/1.1 200 OK\r\nX: ";
    ResponseHead head;
    ResponseParser parser;
    parser.reset(head, false, 200);
    while (bytes.size() < 200) {
        CHECK(parser.head(bytes) == Parsed::more);
        bytes += 'x';
    }
    CHECK(parser.head(bytes) == Parsed::refused);
    CHECK(parser.complaint() == "its header is too large");
}

TEST_CASE("a parser begins anew after reset, whatever came before", "[response]") {
    Answer answer("HTTP/1.1 200 OK\r\nX : a\r\n\r\n");
    REQUIRE(answer.parsed == Parsed::refused);
    answer.parser.reset(answer.head, false, head_max);
    const std::string chunked = ok_with("Transfer-Encoding: chunked\r\n");
    REQUIRE(answer.parser.head(chunked) == Parsed::head);
    std::size_t taken = 0;
    CHECK(answer.parser.body(std::string_view("0\r\nX: y\r\n\r\n"), taken) == Parsed::complete);
    answer.parser.reset(answer.head, false, head_max);
    const std::string closing = "HTTP/1.0 204 X\r\n\r\n";
    REQUIRE(answer.parser.head(closing) == Parsed::head);
    CHECK(answer.head.fields.empty());
    CHECK(answer.head.status == 204);
    CHECK(answer.parser.trailers().empty());
    CHECK_FALSE(answer.parser.keep_alive());
}

// ---- chunked bodies ------------------------------------------------------------------------------

TEST_CASE("a chunked body gives its payload, and takes its own bytes only", "[response]") {
    const std::string body = "5\r\nhello\r\n1\r\n \r\n00006\r\nworld!\r\n0\r\n\r\n";
    for (std::size_t step = 1; step < body.size(); ++step) {
        CAPTURE(step);
        const Chunked read(body, step);
        CHECK(read.parsed == Parsed::complete);
        CHECK(read.payload == "hello world!");
        CHECK(read.taken == body.size());
    }
    const Chunked followed(body + "HTTP/1.1 200 OK\r\n");
    CHECK(followed.parsed == Parsed::complete);
    CHECK(followed.taken == body.size());
}

TEST_CASE("a chunked body may be empty", "[response]") {
    const Chunked read("0\r\n\r\n");
    CHECK(read.parsed == Parsed::complete);
    CHECK(read.payload.empty());
    CHECK(read.trailers().empty());
}

TEST_CASE("a chunked body that is cut short is incomplete", "[response]") {
    const std::string body = "5;x\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for (std::size_t size = 0; size < body.size(); ++size) {
        CAPTURE(size);
        CHECK(Chunked(body.substr(0, size)).parsed == Parsed::more);
    }
}

TEST_CASE("sizes of chunks are hexadecimal in either case", "[response]") {
    CHECK(Chunked("a\r\n0123456789\r\n0\r\n\r\n").payload == "0123456789");
    CHECK(Chunked("A\r\n0123456789\r\n0\r\n\r\n").payload == "0123456789");
    CHECK(Chunked("1F\r\n" + std::string(31, 'x') + "\r\n0\r\n\r\n").payload.size() == 31);
}

TEST_CASE("chunk extensions are passed over", "[response]") {
    for (const std::string extension : {";a", ";a=b", ";a=\"b;c\"", ";a;b=c", ";a=\"\""}) {
        CAPTURE(extension);
        const Chunked read("1" + extension + "\r\nx\r\n0" + extension + "\r\n\r\n");
        CHECK(read.parsed == Parsed::complete);
        CHECK(read.payload == "x");
    }
}

TEST_CASE("malformed chunks are refused, however they come", "[response]") {
    const std::vector<std::string> bodies{
        "x\r\n",
        "\r\n",
        "-1\r\nx\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n",
        "2\r\nx\r\n0\r\n\r\n",
        "1\rx\r\n0\r\n\r\n",
        "1\r\nx\r0\r\n\r\n",
        "1\r\nx\r\n0\n\r\n",
        "1\r\nx\r\n0\r\n\n",
        "0\r\n\rx",
        "ffffffffffffffff1\r\nx",
        "10000000000000000\r\nx",
        "1;a\nb\r\nx\r\n0\r\n\r\n",
        "1;a\rb\r\nx\r\n0\r\n\r\n",
        "1;\n\r\nx\r\n0\r\n\r\n",
        "1;a=\"\n\"\r\nx\r\n0\r\n\r\n",
        "0;a\n\r\n\r\n",
        "0\r\nX: a\n\r\n",
        "0\r\nX: a\nY: b\r\n\r\n",
        "0\r\nX: a\r\n b\r\n\r\n",
        "0\r\nX: a\r\n\tb\r\n\r\n",
        "0\r\nX:\r\n b\r\n\r\n",
        "0\r\nX: a\rb\r\n\r\n",
        "0\r\nX : a\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n: a\r\n\r\n",
        "0\r\n X: a\r\n\r\n",
    };
    for (const std::string& body : bodies) {
        CAPTURE(body);
        for (std::size_t step = 1; step <= body.size() + 1; ++step) {
            const Chunked read(body, step);
            CHECK(read.parsed == Parsed::refused);
            CHECK(read.answer.parser.complaint() == "its chunks are malformed");
        }
    }
}

TEST_CASE("trailers are lines, with white space around values taken away", "[response]") {
    const std::string body = "1\r\nx\r\n0\r\nX-Sum:  \t7 \r\nEmpty:\r\nx-other: two words\r\n\r\n";
    for (std::size_t step = 1; step <= body.size(); ++step) {
        CAPTURE(step);
        const Chunked read(body, step);
        CHECK(read.parsed == Parsed::complete);
        CHECK(read.trailers() == "X-Sum: 7\r\nEmpty: \r\nx-other: two words\r\n");
        CHECK(read.payload == "x");
    }
}

TEST_CASE("6.5.1: trailers that frame, route or belong to the connection are refused or left out",
          "[response]") {
    for (const std::string line :
         {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
          "Trailer: X\r\n", "Upgrade: x\r\n", "Host: a\r\n"}) {
        CAPTURE(line);
        const Chunked read("0\r\nX-A: b\r\n" + line + "\r\n");
        if (read.parsed != Parsed::refused) CHECK(read.trailers() == "X-A: b\r\n");
    }
}

TEST_CASE("trailers are bounded as the head is, whatever the size of the body", "[response]") {
    const std::string body = "10000\r\n" + std::string(0x10000, 'x') + "\r\n0\r\n";
    CHECK(Chunked(body + "X: " + std::string(head_max / 2, 'x') + "\r\n\r\n").parsed == Parsed::complete);
    CHECK(Chunked(body + "X: " + std::string(head_max, 'x') + "\r\n\r\n").parsed == Parsed::refused);
    CHECK(Chunked(body + std::string(head_max + 1, 'x')).parsed == Parsed::refused);
    std::string many;
    while (many.size() < 2 * head_max) many += "X: y\r\n";
    CHECK(Chunked(body + many, 100).parsed == Parsed::refused);
}

TEST_CASE("a body of nothing but framing is refused, one of small chunks is not", "[response]") {
    const Chunked padded("1;" + std::string(100'000, 'x') + "\r\ny\r\n0\r\n\r\n", 1000);
    CHECK(padded.parsed == Parsed::refused);
    std::string small;
    for (int chunk = 0; chunk < 50'000; ++chunk) small += "1\r\nx\r\n";
    const Chunked read(small + "0\r\n\r\n", 1000);
    CHECK(read.parsed == Parsed::complete);
    CHECK(read.payload.size() == 50'000);
}
