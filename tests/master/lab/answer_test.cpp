// tests/master/lab/answer_test.cpp: where an answer ends, however it is cut.
#include "master/lab/answer.h"

using master::lab::Answer;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\nServer: reeve\r\nContent-Length: 5\r\n\r\nhello";
const std::string refused =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

}  // namespace

TEST_CASE("an answer is whole with its last byte, and not before", "[lab]") {
    Answer answer;
    for (const auto& text : {ok, refused, ok}) {
        for (std::size_t i = 0; i + 1 < text.size(); ++i) REQUIRE_FALSE(answer.take(text.substr(i, 1)));
        const auto whole = answer.take(text.substr(text.size() - 1));
        REQUIRE(whole);
        CHECK(whole->status == (text == ok ? 200 : 503));
        CHECK(whole->closes == (text == refused));
    }
    CHECK(answer.take(ok)->status == 200);
}

TEST_CASE("what is no answer, or more than one, is not understood", "[lab]") {
    for (const std::string text :
         {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          "SSH-2.0\r\n\r\n", "HTTP/1.1 2xx\r\nContent-Length: x\r\n\r\n"}) {
        CAPTURE(text);
        const auto whole = Answer().take(text);
        REQUIRE(whole);
        CHECK(whole->status == 0);
    }
    CHECK(Answer().take(ok + "x")->status == 0);
    CHECK(Answer().take(std::string(100'000, 'x'))->status == 0);
}
