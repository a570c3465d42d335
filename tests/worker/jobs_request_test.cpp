// tests/worker/jobs_request_test.cpp: jobs that are requests: how they are kept, asked, and what is kept of
// their answers.
#include <random>

#include "tests/worker/jobs_world.h"
#include "worker/jobs/stored_request.h"
#include "worker/jobs/verdict.h"

using namespace jobs_test;
using namespace std::chrono_literals;

namespace {

using Wire = StoredRequest::Wire;

std::string put_request() {
    return pack({.wire = Wire::http,
                 .head = "PUT /things/7?x=y HTTP/1.1\r\nHost: shop\r\nX-Mine: yes\r\n",
                 .hidden = "x-secret,x-other"});
}

std::string params_request() {
    StoredRequest request{.wire = Wire::fastcgi, .head = {}, .hidden = {}};
    worker::http::fastcgi::append_param(request.head, "REQUEST_METHOD", "PUT");
    worker::http::fastcgi::append_param(request.head, "REQUEST_URI", "/things/7?x=y");
    return pack(request);
}

}  // namespace

TEST_CASE("a request reads back as it was kept, and nothing else is one", "[jobs][async]") {
    const StoredRequest request{.wire = Wire::fastcgi, .head = std::string("a\0b", 3), .hidden = "x,y"};
    const auto bytes = pack(request);
    const auto read = unpack(bytes);
    REQUIRE(read);
    CHECK(read->wire == Wire::fastcgi);
    CHECK(read->head == request.head);
    CHECK(read->hidden == "x,y");
    CHECK(unpack(pack({})));
    for (std::size_t size = 0; size < 7; ++size) CHECK_FALSE(unpack(bytes.substr(0, size)));
    std::mt19937 random(3);
    for (int round = 0; round < 2000; ++round) {
        auto any = bytes;
        for (unsigned change = 0; change <= random() % 3; ++change)
            any[random() % any.size()] = static_cast<char>(random());
        if (const auto some = unpack(any)) CHECK(pack(*some) == any);
    }
}

TEST_CASE("a request is asked of a peer as it is, with its body and the job's name", "[jobs][async]") {
    Backend backend;
    JobsWorld jobs(backend);
    auto& job = jobs.keeping.add("a", "the body");
    job.claimed.request = put_request();
    jobs.runners->start();
    REQUIRE(jobs.until(
        [&] { return !backend.talks.empty() && backend.talks[0].heard.ends_with("\r\n\r\nthe body"); }));
    const auto& heard = backend.talks[0].heard;
    CHECK(heard.starts_with(
        "PUT /things/7?x=y HTTP/1.1\r\nHost: shop\r\nX-Mine: yes\r\nContent-Length: 8\r\nJob-Id: a\r\n"));
    CHECK(heard.find("Job-Attempt: 1\r\n") != std::string::npos);
    backend.talks[0].say(
        "HTTP/1.1 404 X\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nX-Secret: 1\r\nETag: \"7\"\r\n"
        "Connection: close, X-Hop\r\nX-Hop: 1\r\nDate: now\r\nContent-Length: 4\r\n\r\nnone");
    REQUIRE(jobs.is("a", State::done));
    CHECK(job.result == "none");
    CHECK(job.result_type == "text/html");
    CHECK(job.result_status == 404);
    CHECK(job.result_fields == "ETag: \"7\"\r\n");
}

TEST_CASE("a request that says \"not now\" is tried again", "[jobs][async]") {
    for (const std::initializer_list<worker::http::Status> all{500, 503, 408, 425, 429};
         const auto status : all)
        CHECK(judge_answer(status, "", 1).ending == Ending::failed);
    CHECK(judge_answer(503, "7", 1000).again_at == 8000);
    for (const std::initializer_list<worker::http::Status> all{200, 204, 301, 304, 400, 401, 404, 422};
         const auto status : all)
        CHECK(judge_answer(status, "7", 1).ending == Ending::done);
}

TEST_CASE("a request is asked of a member, without a body too", "[jobs][async]") {
    Members members(1);
    JobsWorld jobs(members);
    auto& job = jobs.keeping.add("a");
    job.claimed.request = params_request();
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    for (const std::string_view told :
         {"REQUEST_METHODPUT", "REQUEST_URI/things/7?x=y", "JOB_IDa", "CONTENT_LENGTH0"})
        CHECK(talk.heard.find(told) != std::string::npos);
    CHECK(talk.heard.find("REQUEST_METHODPOST") == std::string::npos);
    talk.say(out("Status: 204\n\n") + end());
    REQUIRE(jobs.is("a", State::done));
    CHECK(job.result_status == 204);
    CHECK(members.state() == ipc::MemberState::idle);
}

TEST_CASE(
    "a request that was made for a pool is dead where its queue has none any more, and the other way "
    "round",
    "[jobs][async]") {
    SECTION("an upstream") {
        Backend backend;
        JobsWorld jobs(backend);
        jobs.keeping.add("a").claimed.request = params_request();
        jobs.runners->start();
        REQUIRE(jobs.is("a", State::dead));
        CHECK(backend.talks.empty());
    }
    SECTION("a pool") {
        Members members(1);
        JobsWorld jobs(members);
        jobs.keeping.add("a").claimed.request = put_request();
        jobs.keeping.add("b").claimed.request = "nonsense";
        jobs.runners->start();
        REQUIRE(jobs.is("a", State::dead));
        REQUIRE(jobs.is("b", State::dead));
        CHECK(members.talks.empty());
        CHECK(jobs.until([&] { return members.state() == ipc::MemberState::idle; }));
    }
}

TEST_CASE("of an answer's header no more is kept than there is room for", "[jobs][async]") {
    Backend backend;
    JobsWorld jobs(backend);
    auto& job = jobs.keeping.add("a");
    job.claimed.request = put_request();
    jobs.runners->start();
    REQUIRE(
        jobs.until([&] { return !backend.talks.empty() && backend.talks[0].heard.ends_with("\r\n\r\n"); }));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nX-Long: " + std::string(result_fields_max, 'x') +
                         "\r\nX-Short: 1\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(jobs.is("a", State::done));
    CHECK(job.result_fields == "X-Short: 1\r\n");
}
