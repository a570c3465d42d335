#include "worker/http/cgi_head.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;
using worker::http::CgiHead;
using worker::http::Framing;
using worker::http::Known;
using worker::http::Parsed;
using worker::http::ResponseHead;

namespace {

struct Program {
    explicit Program(std::string_view text, bool bodiless = false, std::uint64_t max = 4096) : bytes(text) {
        reader.reset(head, bodiless, max);
        parsed = reader.head(bytes);
    }
    /// "Name=value Name=value".
    [[nodiscard]] std::string fields() const {
        std::string all;
        for (const auto& field : head.fields)
            all.append(all.empty() ? "" : " ")
                .append(head.view(field.name))
                .append("=")
                .append(head.view(field.value));
        return all;
    }

    std::string bytes;
    ResponseHead head;
    CgiHead reader;
    Parsed parsed = Parsed::more;
};

worker::http::Status status_of(std::string_view text) {
    const Program program(text);
    REQUIRE(program.parsed == Parsed::head);
    return program.head.status;
}

std::string complaint_of(std::string_view text, std::uint64_t max = 4096) {
    const Program program(text, false, max);
    return program.parsed == Parsed::refused ? std::string(program.reader.complaint()) : "none";
}

constexpr auto malformed = "its header is malformed";

}  // namespace

TEST_CASE("a program's head has its fields, and a status of 200", "[fastcgi][cgi]") {
    for (const std::string end : {"\r\n", "\n"}) {
        const Program program("X-Powered-By: PHP/8.2" + end + "Content-type: text/html; charset=UTF-8" + end +
                              end + "<p>");
        REQUIRE(program.parsed == Parsed::head);
        CHECK(program.head.status == 200);
        CHECK(program.fields() == "X-Powered-By=PHP/8.2 Content-type=text/html; charset=UTF-8");
        CHECK(program.bytes.substr(program.head.head_size) == "<p>");
        CHECK(program.reader.framing() == Framing::until_end);
    }
}

TEST_CASE("the status is what Status says, and Status goes no further", "[fastcgi][cgi]") {
    const Program program("Status: 404 Not Found\r\nContent-Type: a/b\r\n\r\n");
    REQUIRE(program.parsed == Parsed::head);
    CHECK(program.head.status == 404);
    CHECK(program.fields() == "Content-Type=a/b");
    CHECK(status_of("status:204\n\n") == 204);
    CHECK(status_of("Content-Type: a/b\nSTATUS: 599 \n\n") == 599);
    for (const auto* wrong : {"Status: 99\n\n", "Status: 100 Continue\n\n", "Status: 101 Up\n\n",
                              "Status: 600\n\n", "Status: 20\n\n", "Status: 2000\n\n", "Status: OK\n\n",
                              "Status:\n\n", "Status: 200\nStatus: 200\n\n", "Status: 200-OK\n\n"}) {
        CAPTURE(wrong);
        CHECK(complaint_of(wrong) == "its status is none");
    }
}

TEST_CASE("a Location without a status leads there", "[fastcgi][cgi]") {
    CHECK(status_of("Location: https://example.org/\n\n") == 302);
    CHECK(status_of("Location: /here?a=b\n\n") == 302);
    CHECK(status_of("Status: 301 Moved\nLocation: /here\n\n") == 301);
    CHECK(status_of("Location: /made\nStatus: 201\n\n") == 201);
    CHECK(complaint_of("Location: /a\nLocation: /b\n\n") == "it leads to two places");
}

TEST_CASE("a program's length counts, and its other framing does not", "[fastcgi][cgi]") {
    const Program with_length("Content-Length: 12\n\n");
    CHECK(with_length.reader.framing() == Framing::length);
    CHECK(with_length.reader.content_length() == 12);
    CHECK(Program("Content-Length: 0\n\n").reader.framing() == Framing::none);
    CHECK(Program("Status: 204\n\n").reader.framing() == Framing::none);
    CHECK(Program("Status: 304\nContent-Length: 12\n\n").reader.framing() == Framing::none);
    CHECK(Program("Content-Length: 12\n\n", true).reader.framing() == Framing::none);
    const Program coded("Transfer-Encoding: chunked\nContent-Type: a/b\n\n");
    CHECK(coded.reader.framing() == Framing::until_end);
    CHECK_FALSE(coded.head.has(Known::transfer_encoding));

    CHECK(complaint_of("Content-Length: 1\nContent-Length: 1\n\n") == "its framing is ambiguous");
    for (const auto* wrong : {"Content-Length: -1\n\n", "Content-Length: 1, 1\n\n", "Content-Length:\n\n",
                              "Content-Length: 0x10\n\n", "Content-Length: 1234567890123456789\n\n"}) {
        CAPTURE(wrong);
        CHECK(complaint_of(wrong) == "its length is none");
    }
}

TEST_CASE("no byte of a program's head can begin another field of ours", "[fastcgi][cgi]") {
    for (const std::string& wrong : {
             "X: a\rSet-Cookie: b\n\n"s,               // a CR of its own
             "X: a\r\r\n\r\n"s,                        // or before another
             "X: a\0b\n\n"s,                           //
             "X: \x01\n\n"s,                           //
             "X: a\x7f\n\n"s,                          //
             "X: a\n folded\n\n"s,                     //
             " X: a\n\n"s,                             //
             "X : a\n\n"s,                             //
             "X\n\n"s,                                 //
             ": a\n\n"s,                               //
             "X Y: a\n\n"s,                            //
             "HTTP/1.1 200 OK\nContent-Type: a\n\n"s,  // a head that is whole already (NPH) is not for here
             "<html>\n\n"s,                            //
         }) {
        CAPTURE(wrong);
        CHECK(complaint_of(wrong) == malformed);
    }
    CHECK(complaint_of("\r\nbody") == "its header is empty");
    CHECK(complaint_of("\nbody") == "its header is empty");
}

TEST_CASE("a program's head is bounded, in bytes and in fields", "[fastcgi][cgi]") {
    CHECK(complaint_of("X: " + std::string(100, 'x') + "\n\n", 105) == "none");
    CHECK(complaint_of("X: " + std::string(100, 'x') + "\n\n", 104) == "its header is too large");
    CHECK(complaint_of("X: " + std::string(102, 'x'), 104) == "its header is too large");
    std::string many;
    for (int i = 0; i < 300; ++i) many += "X: y\n";
    CHECK(complaint_of(many + "\n") == "its header has too many fields");
}

TEST_CASE("a program's head that is not whole waits for more, wherever it is cut", "[fastcgi][cgi]") {
    const std::string text = "Status: 403 No\r\nX-A: b\nContent-Length: 7\r\n\r\n";
    for (std::size_t size = 0; size < text.size(); ++size) {
        CAPTURE(size);
        CHECK(Program(text.substr(0, size)).parsed == Parsed::more);
    }
    ResponseHead head;
    CgiHead reader;
    reader.reset(head, false, 4096);
    for (std::size_t size = 1; size < text.size(); ++size) {
        const std::string moved = text.substr(0, size);
        REQUIRE(reader.head(moved) == Parsed::more);
    }
    REQUIRE(reader.head(text) == Parsed::head);
    CHECK(head.status == 403);
    CHECK(head.value(Known::content_length) == "7");
    REQUIRE(head.fields.size() == 2);
    CHECK(head.view(head.fields[0].value) == "b");
}
