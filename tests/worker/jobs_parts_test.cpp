// tests/worker/jobs_parts_test.cpp: the parts of running jobs that need no loop: when to try again, what an
// answer means, what is progress.
#include <algorithm>
#include <map>
#include <random>

#include "worker/http/fastcgi.h"
#include "worker/jobs/backoff.h"
#include "worker/jobs/job_head.h"
#include "worker/jobs/pace.h"
#include "worker/jobs/plain_text.h"
#include "worker/jobs/progress_lines.h"
#include "worker/jobs/verdict.h"

using namespace worker::jobs;
using namespace std::chrono_literals;

namespace {

constexpr UnixMs now = 1'700'000'000'000;

struct Heard {
    std::string rest;
    std::vector<std::string> said;
};

/// In pieces of so many bytes.
Heard hear(std::string_view all, std::size_t piece) {
    ProgressLines lines;
    Heard heard;
    for (std::size_t at = 0; at < all.size(); at += piece) {
        lines.take(all.substr(at, piece), [&](std::string_view rest) { heard.rest.append(rest); });
        if (auto text = lines.said()) heard.said.push_back(*text);
    }
    return heard;
}

std::map<std::string, std::string> params_of(const Claimed& job, const conf::Queue& queue) {
    std::string bytes;
    append_job_params(bytes, job, queue);
    std::map<std::string, std::string> all;
    std::string_view rest = bytes;
    while (const auto param = worker::http::fastcgi::take_param(rest))
        all[std::string(param->name)] = std::string(param->value);
    CHECK(rest.empty());
    return all;
}

}  // namespace

TEST_CASE("what failed waits within its bounds, and twice as long each time", "[jobs]") {
    const Backoff backoff{1s, 1h};
    std::mt19937_64 random(7);
    for (std::uint32_t attempt = 1; attempt < 100; ++attempt) {
        CAPTURE(attempt);
        const auto most =
            std::min<std::chrono::milliseconds>(1h, 1s * (std::int64_t{1} << std::min(attempt, 20u)));
        auto longest = 0ms;
        for (int i = 0; i < 1000; ++i) {
            const auto wait = backoff.after(attempt, random());
            REQUIRE(wait >= 1s);
            REQUIRE(wait <= most);
            longest = std::max(longest, wait);
        }
        CHECK(longest > most * 9 / 10);
    }
}

TEST_CASE("of those that fail together no second gets more than a twentieth", "[jobs]") {
    const Backoff backoff{1s, 1h};
    std::mt19937_64 random(11);
    for (const std::uint32_t attempt : {6u, 8u, 12u, 30u}) {
        CAPTURE(attempt);
        std::map<std::int64_t, int> by_second;
        for (int i = 0; i < 10'000; ++i) ++by_second[backoff.after(attempt, random()).count() / 1000];
        const auto most = std::max_element(by_second.begin(), by_second.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        CHECK(most->second <= 500);
    }
}

TEST_CASE("bounds that are equal, or turned round, or nothing, are no trouble", "[jobs]") {
    CHECK(Backoff{5s, 5s}.after(3, 99) == 5s);
    CHECK(Backoff{5s, 1s}.after(3, 99) == 5s);
    CHECK(Backoff{0ms, 0ms}.after(0, 99) == 0ms);
    CHECK(Backoff{0ms, 1h}.after(~0u, ~std::uint64_t{0}) <= 1h);
    CHECK(Backoff{24h, 720h}.after(~0u, ~std::uint64_t{0}) <= 720h);
}

TEST_CASE("what a status makes of an attempt", "[jobs]") {
    for (const int status : {200, 201, 204, 299})
        CHECK(judge_status(static_cast<std::uint16_t>(status), "", now).ending == Ending::done);
    for (const int status : {400, 401, 404, 409, 410, 422, 451})
        CHECK(judge_status(static_cast<std::uint16_t>(status), "5", now).ending == Ending::permanent);
    for (const int status : {302, 408, 425, 429, 500, 502, 503, 504}) {
        CAPTURE(status);
        const Verdict verdict = judge_status(static_cast<std::uint16_t>(status), "", now);
        CHECK(verdict.ending == Ending::failed);
        CHECK(verdict.error == "status " + std::to_string(status));
        CHECK(verdict.again_at == 0);
    }
}

TEST_CASE("Retry-After says when to try again, as seconds or as a date, and not for ever", "[jobs]") {
    const auto again = [](std::string_view value) { return judge_status(503, value, now).again_at; };
    CHECK(again("120") == now + 120'000);
    CHECK(again("0") == now);
    CHECK(again("Tue, 14 Nov 2023 22:14:20 GMT") == now + 60'000);
    CHECK(again("Tue, 14 Nov 2023 20:00:00 GMT") == now);  // past
    CHECK(again("99999999999999999999999") == now + retry_after_max);
    CHECK(again("Tue, 14 Nov 2090 20:00:00 GMT") == now + retry_after_max);
    for (const std::string_view nonsense : {"", "soon", "-1", "1.5", "5 seconds"}) {
        CAPTURE(nonsense);
        CHECK(again(nonsense) == 0);
    }
}

TEST_CASE("an exit status says how it went", "[jobs]") {
    CHECK(judge_exit(0).ending == Ending::done);
    CHECK(judge_exit(1).ending == Ending::failed);
    CHECK(judge_exit(1).error == "exit status 1");
    CHECK(judge_exit(exit_permanent).ending == Ending::permanent);
}

TEST_CASE("a program whose connection ends without a word has died, a peer of an upstream has failed",
          "[jobs]") {
    const worker::upstream::Failure reset{502, "the peer ended the connection", ipc::CallFailure::reset};
    CHECK(judge_failure(reset, true, false).ending == Ending::crashed);
    CHECK(judge_failure(reset, true, true).ending == Ending::failed);
    CHECK(judge_failure(reset, false, false).ending == Ending::failed);
    CHECK(judge_failure(reset, false, false).error == "the peer ended the connection");
    const worker::upstream::Failure malformed{502, "no header", ipc::CallFailure::malformed};
    CHECK(judge_failure(malformed, true, false).ending == Ending::failed);
}

TEST_CASE("lines of progress are told apart from all else, however they are cut", "[jobs]") {
    const std::string all =
        "starting\nreeve-progress: one of 3\nreeve-progressive\n\nreeve-progress: \xc3\xa9t\xc3\xa9\x01\r\nx "
        "reeve-progress: "
        "no\nreeve-progress: half";
    for (std::size_t piece = 1; piece <= all.size(); ++piece) {
        CAPTURE(piece);
        const Heard heard = hear(all, piece);
        CHECK(heard.rest == "starting\nreeve-progressive\n\nx reeve-progress: no\n");
        REQUIRE_FALSE(heard.said.empty());
        CHECK(heard.said.back() == "\xc3\xa9t\xc3\xa9?");
        if (piece == 1) CHECK(heard.said.front() == "one of 3");
    }
}

TEST_CASE("a line of progress that never ends holds no more than a line", "[jobs]") {
    ProgressLines lines;
    const auto none = [](std::string_view) { FAIL("that is progress"); };
    lines.take(ProgressLines::mark, none);
    for (int i = 0; i < 1000; ++i) lines.take(std::string(1000, 'x'), none);
    CHECK_FALSE(lines.said());
    lines.take("\n", none);
    CHECK(lines.said() == std::string(plain_text_max, 'x'));
    CHECK_FALSE(lines.said());
}

TEST_CASE("text of strangers is UTF-8 when it is stored", "[jobs]") {
    CHECK(plain_text(" \r\n a\tb\nc \n") == "a b c");
    CHECK(plain_text("").empty());
    CHECK(plain_text("a\x80\xff\x1b[0m") == "a???[0m");
    CHECK(plain_text("\xed\xa0\x80") == "???");  // a surrogate
    CHECK(plain_text("\xc0\xaf") == "??");       // longer than needed
    CHECK(plain_text("\xf0\x9f\x98\x80!") == "\xf0\x9f\x98\x80!");
    CHECK(plain_text("abc\xc3\xa9", 4) == "abc");  // never half a character
    CHECK(plain_text("abc\xc3\xa9", 5) == "abc\xc3\xa9");
    CHECK(plain_text("abc\xc3") == "abc?");
}

TEST_CASE("no second sees many more jobs begin than the rate", "[jobs]") {
    Pace pace(20);
    std::vector<std::uint64_t> begun;
    for (std::uint64_t at = 1'000'000; at < 11'000'000; at += 1'000) {
        const std::uint32_t some = pace.allowed(100, at);
        pace.take(some);
        for (std::uint32_t i = 0; i < some; ++i) begun.push_back(at);
    }
    CHECK(begun.size() >= 195);
    CHECK(begun.size() <= 203);
    for (std::size_t i = 0; i + 22 < begun.size(); ++i) CHECK(begun[i + 22] - begun[i] >= 1'000'000);
}

TEST_CASE("when the next may begin is known, and none is any number", "[jobs]") {
    Pace slow(2);
    REQUIRE(slow.allowed(5, 1'000'000) == 1);
    slow.take(1);
    CHECK(slow.allowed(5, 1'000'000) == 0);
    const std::uint64_t next = slow.next_us(1'000'000);
    CHECK(next > 1'490'000);
    CHECK(next < 1'510'000);
    CHECK(slow.allowed(5, next) == 1);
    Pace any(0);
    CHECK(any.allowed(1000, 5) == 1000);
    CHECK(any.next_us(5) == 5);
}

TEST_CASE("a program is told which job it does, and for the how manyth time", "[jobs]") {
    Claimed job;
    job.id = "0190-id";
    job.body = "hello";
    job.content_type = "text/plain";
    job.key = "customer 7";
    job.attempt = 2;
    job.attempts = 10;
    job.created = now + 7;
    conf::Queue queue;
    queue.name = "mail";
    auto params = params_of(job, queue);
    CHECK(params["REQUEST_METHOD"] == "POST");
    CHECK(params["CONTENT_LENGTH"] == "5");
    CHECK(params["CONTENT_TYPE"] == "text/plain");
    CHECK(params["SCRIPT_NAME"] == "/mail");
    CHECK(params["JOB_ID"] == "0190-id");
    CHECK(params["JOB_ATTEMPT"] == "2");
    CHECK(params["JOB_ATTEMPTS"] == "10");
    CHECK(params["JOB_QUEUE"] == "mail");
    CHECK(params["JOB_KEY"] == "customer 7");
    CHECK(params["JOB_ENQUEUED"] == "2023-11-14T22:13:20.007Z");
    CHECK_FALSE(params.contains("SCRIPT_FILENAME"));
    queue.script = "/srv/image.php";
    CHECK(params_of(job, queue)["SCRIPT_FILENAME"] == "/srv/image.php");
}

TEST_CASE("nothing of a job ends a line of the head that a peer gets", "[jobs]") {
    Claimed job;
    job.id = "id";
    job.content_type = "text/plain\r\nX: y";
    job.key = "a\nb";
    conf::Queue queue;
    queue.name = "q";
    queue.upstream.path = "/work?x=1";
    std::string head;
    append_job_head(head, job, queue, "there");
    CHECK(head ==
          "POST /work?x=1 HTTP/1.1\r\nHost: there\r\nContent-Type: text/plain  X: y\r\nContent-Length: 0\r\n"
          "Idempotency-Key: id\r\nJob-Id: id\r\nJob-Attempt: 1\r\nJob-Attempts: 0\r\nJob-Queue: q\r\n"
          "Job-Enqueued: 1970-01-01T00:00:00.000Z\r\nJob-Key: a b\r\n\r\n");
}
