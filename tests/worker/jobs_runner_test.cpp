// tests/worker/jobs_runner_test.cpp: which jobs run, when, and what is told of their ends. The store is a
// map; members of pools and peers are the test's.
#include "tests/worker/jobs_world.h"
#include "tests/worker/turn.h"

using namespace jobs_test;
using namespace std::chrono_literals;
using ipc::MemberState;

// ---- one job on a member --------------------------------------------------------------------------

TEST_CASE("a job is asked of a member, and its answer is the result", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a", "the body", "the key");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    CHECK(members.state() == MemberState::busy);
    for (const std::string_view told : {"REQUEST_METHODPOST", "JOB_IDa", "JOB_ATTEMPT1", "JOB_QUEUEq",
                                        "JOB_KEYthe key", "CONTENT_LENGTH8", "the body"})
        CHECK(talk.heard.find(told) != std::string::npos);
    talk.say(answer("the result"));
    REQUIRE(jobs.is("a", State::done));
    CHECK(jobs.keeping.jobs["a"].result == "the result");
    CHECK(jobs.keeping.jobs["a"].result_type == "text/plain");
    CHECK(members.state() == MemberState::idle);
    CHECK(members.table->counters(0).over.get() == 1);
    CHECK(jobs.until([&] { return jobs.runner().idle(); }));  // it hears of the end a turn later
}

TEST_CASE("what a program says with its status or its exit status becomes of its job", "[jobs]") {
    struct Case {
        std::string said;
        State state;
        Ending ending;
        std::string error;
    };
    for (const auto& [said, state, ending, error] : {
             Case{out("Status: 422\n\nno such user\n") + end(), State::dead, Ending::permanent,
                  "status 422: no such user"},
             Case{out("Status: 500\n\n") + end(), State::scheduled, Ending::failed, "status 500"},
             Case{out("Status: 429\n\n") + end(), State::scheduled, Ending::failed, "status 429"},
             Case{answer("half").substr(0, 40) + end(3), State::scheduled, Ending::failed, ""},
             Case{out("Content-Type: text/plain\n\nx") + end(3), State::scheduled, Ending::failed,
                  "exit status 3"},
             Case{out("Content-Type: text/plain\n\nx") + end(65), State::dead, Ending::permanent,
                  "exit status 65"},
             Case{end(0), State::done, Ending::done, ""},
             Case{end(4), State::scheduled, Ending::failed, "exit status 4"},
             Case{out("nonsense\n\n") + end(0), State::scheduled, Ending::failed, ""},
         }) {
        CAPTURE(said);
        Members members(1);
        JobsWorld jobs(members, [](conf::Queue& queue) { queue.backoff = {1h, 1h}; });
        jobs.keeping.add("a", "x");
        jobs.runners->start();
        jobs.asked().say(said);
        REQUIRE(jobs.ended("a", 1));
        CHECK(jobs.keeping.jobs["a"].state == state);
        CHECK(jobs.keeping.jobs["a"].endings[0] == ending);
        if (!error.empty()) CHECK(jobs.keeping.jobs["a"].error == error);
    }
}

TEST_CASE("what failed is tried again after its back-off, as the next attempt", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.runners->start();
    for (std::size_t at = 0; at < 3; ++at) {
        Conversation& talk = jobs.asked(at);
        CHECK(talk.heard.find("JOB_ATTEMPT" + std::to_string(at + 1)) != std::string::npos);
        talk.say(out("Status: 500\n\n") + end());
        REQUIRE(jobs.ended("a", at + 1));
        CHECK(jobs.keeping.jobs["a"].again[at] <= 200);
        CHECK(jobs.keeping.jobs["a"].again[at] >= 40);
    }
    jobs.asked(3).say(answer());
    CHECK(jobs.is("a", State::done));
}

TEST_CASE("Retry-After of a handler is when its job is tried again", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.runners->start();
    jobs.asked().say(out("Status: 503\nRetry-After: 300\n\n") + end());
    REQUIRE(jobs.ended("a", 1));
    CHECK(jobs.keeping.jobs["a"].again[0] > 299'000);
    CHECK(jobs.keeping.jobs["a"].again[0] <= 330'000);
}

TEST_CASE("a process that dies under a job: tried again at once, and after three it is dead", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members, [](conf::Queue& queue) { queue.backoff = {1h, 1h}; });
    jobs.keeping.add("a", "x");
    jobs.runners->start();
    for (std::size_t at = 0; at < 3; ++at) {
        Conversation& talk = jobs.asked(at);
        CHECK(jobs.keeping.jobs["a"].claimed.attempt == at + 1);
        if (at == 1) talk.say(out("Content-Type: text/plain\n\nhalf"));
        talk.close();
        REQUIRE(jobs.ended("a", at + 1));
        CHECK(members.state() == MemberState::doubtful);
        members.revive(MemberState::doubtful);
    }
    CHECK(jobs.keeping.jobs["a"].state == State::dead);
    CHECK(jobs.keeping.jobs["a"].endings == std::vector(3, Ending::crashed));
    CHECK(members.table->counters(0).died.get() == 3);
    jobs.settle(20);
    CHECK(members.talks.size() == 3);
}

TEST_CASE("a job that takes too long is over when its process has been ended", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members, [](conf::Queue& queue) {
        queue.timeout = 30ms;
        queue.backoff = {1h, 1h};
    });
    jobs.keeping.add("a");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    REQUIRE(jobs.until([&] { return talk.ended; }));
    CHECK(members.state() == MemberState::overdue);
    CHECK(members.table->counters(0).timeouts.get() == 1);
    jobs.settle(50);
    CHECK(jobs.keeping.jobs["a"].state == State::running);  // it may still be at it
    REQUIRE(members.table->change(0, 0, MemberState::overdue, MemberState::off, 1));
    REQUIRE(jobs.ended("a", 1));
    CHECK(jobs.keeping.jobs["a"].endings[0] == Ending::timed_out);
    CHECK(jobs.keeping.jobs["a"].error == "took longer than 30 ms");
}

TEST_CASE("a job that runs is cancelled: its process is ended, and then it is over", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    CHECK_FALSE(jobs.runners->cancel("a", 2));
    CHECK_FALSE(jobs.runners->cancel("b", 1));
    REQUIRE(jobs.runners->cancel("a", 1));
    REQUIRE(jobs.until([&] { return talk.ended; }));
    CHECK(members.state() == MemberState::overdue);
    REQUIRE(members.table->change(0, 0, MemberState::overdue, MemberState::off, 1));
    REQUIRE(jobs.is("a", State::cancelled));
    CHECK(jobs.keeping.jobs["a"].endings == std::vector{Ending::cancelled});
    CHECK_FALSE(jobs.runners->cancel("a", 1));
}

TEST_CASE("a result that is too long is cut off: its job is done, its process has its time", "[jobs]") {
    for (const bool told : {true, false}) {
        Members members(1);
        JobsWorld jobs(members, [](conf::Queue& queue) { queue.result_max = 10; });
        jobs.keeping.add("a");
        jobs.runners->start();
        Conversation& talk = jobs.asked();
        talk.say(told ? out("Content-Length: 12\n\n0123456789") : out("Status: 200\n\n0123456789"));
        talk.say(out("0"));
        talk.say(out("1") + end());
        REQUIRE(jobs.is("a", State::done));
        CHECK(jobs.keeping.jobs["a"].result == "0123456789");
        CHECK(jobs.keeping.jobs["a"].result_cut);
        CHECK(members.state() == MemberState::idle);
    }
    Members members(1);
    JobsWorld jobs(members, [](conf::Queue& queue) { queue.result_max = 10; });
    jobs.keeping.add("a");
    jobs.runners->start();
    jobs.asked().say(answer("0123456789"));
    REQUIRE(jobs.is("a", State::done));
    CHECK_FALSE(jobs.keeping.jobs["a"].result_cut);
}

TEST_CASE("what a program says aside is logged with its job, and progress is told", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    Logged logged;
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    talk.say(err("careful\nreeve-progress: 1 of 100\n"));
    REQUIRE(jobs.until([&] { return jobs.keeping.jobs["a"].progress == "1 of 100"; }));
    for (int i = 2; i <= 100; ++i) talk.say(err("reeve-progress: " + std::to_string(i) + " of 100\n"));
    talk.say(answer());
    REQUIRE(jobs.is("a", State::done));
    CHECK(jobs.keeping.jobs["a"].progress == "100 of 100");
    CHECK(jobs.keeping.jobs["a"].progresses <= 3);  // the first, the last, and once a second
    CHECK(
        logged.text().find("program says queue=q peer=p/0 id=\"a\" request=\"attempt 1\" text=\"careful\"") !=
        std::string::npos);
    CHECK(logged.text().find("reeve-progress") == std::string::npos);
}

// ---- peers of an upstream -------------------------------------------------------------------------

TEST_CASE("a job is asked of a peer by HTTP", "[jobs]") {
    Backend backend;
    JobsWorld jobs(backend, [](conf::Queue& queue) { queue.backoff = {1h, 1h}; });
    jobs.keeping.add("a", "hello").claimed.content_type = "text/plain";
    jobs.keeping.add("b", "hello");
    jobs.keeping.add("c", "hello");
    jobs.runners->start();
    const auto hears = [&](std::size_t at, std::string_view text) {
        return jobs.until([&] {
            return backend.talks.size() > at && backend.talks[at].heard.find(text) != std::string::npos;
        });
    };
    REQUIRE(hears(0, "hello"));
    Conversation& talk = backend.talks[0];
    CHECK(talk.heard.starts_with(
        "POST /work HTTP/1.1\r\nHost: u\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"));
    for (const std::string_view line : {"\r\nJob-Id: a\r\n", "\r\nIdempotency-Key: a\r\n",
                                        "\r\nJob-Attempt: 1\r\n", "\r\nJob-Queue: q\r\n"})
        CHECK(talk.heard.find(line) != std::string::npos);
    talk.heard.clear();
    talk.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
    REQUIRE(jobs.is("a", State::done));
    CHECK(jobs.keeping.jobs["a"].result == "yes");
    REQUIRE(hears(0, "Job-Id: b"));  // on the same connection
    talk.say("HTTP/1.1 503 X\r\nRetry-After: 60\r\nContent-Length: 4\r\n\r\nlate");
    REQUIRE(jobs.ended("b", 1));
    CHECK(jobs.keeping.jobs["b"].again[0] > 59'000);
    CHECK(jobs.keeping.jobs["b"].again[0] <= 66'000);
    CHECK(jobs.keeping.jobs["b"].error == "status 503: late");
    REQUIRE(hears(0, "Job-Id: c"));
    talk.close();
    REQUIRE(jobs.ended("c", 1));
    CHECK(jobs.keeping.jobs["c"].endings[0] == Ending::failed);  // not our process
}

TEST_CASE("while a breaker is open jobs go back without an attempt, and are not claimed again and again",
          "[jobs]") {
    Backend backend;
    JobsWorld jobs(
        backend,
        [](conf::Queue& queue) {
            queue.backoff = {1ms, 1ms};
        },
        [](conf::Upstream& upstream) {
            upstream.breaker.failures = 1;
            upstream.breaker.reset = 60s;
        });
    jobs.keeping.add("a");
    jobs.runners->start();
    REQUIRE(jobs.until([&] { return !backend.talks.empty() && !backend.talks[0].heard.empty(); }));
    backend.talks[0].close();
    REQUIRE(jobs.ended("a", 2));
    CHECK(jobs.keeping.jobs["a"].endings[1] == Ending::released);
    CHECK(jobs.keeping.jobs["a"].claimed.attempt == 1);
    const int claims = jobs.keeping.claims;
    jobs.settle(100);
    CHECK(jobs.keeping.claims == claims);
}

// ---- claims ---------------------------------------------------------------------------------------

TEST_CASE("no more jobs run than there are places, and one claim at a time is made", "[jobs]") {
    Members members(4);
    JobsWorld jobs(members, [](conf::Queue& queue) { queue.concurrency = 3; });
    for (int i = 0; i < 20; ++i) jobs.keeping.add(std::to_string(i));
    jobs.runners->start();
    jobs.runners->start();
    std::size_t most = 0;
    REQUIRE(jobs.until([&] {
        most = std::max(most, jobs.keeping.count(State::running));
        for (Conversation& talk : members.talks)
            if (talk.said == 0 && talk.heard.size() > 100) talk.say(answer());
        return jobs.keeping.count(State::done) == 20;
    }));
    CHECK(jobs.keeping.running_max == 3);
    CHECK(most <= 3);
    CHECK(jobs.keeping.claims_at_once == 1);
    CHECK(members.state(3) == MemberState::idle);
}

TEST_CASE("nothing is asked while there is nothing to do", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.runners->start();
    REQUIRE(jobs.until([&] { return jobs.keeping.claims == 1; }));
    jobs.settle(100);
    CHECK(jobs.keeping.claims == 1);
    jobs.keeping.add("a");
    jobs.runners->on_enqueued("q", 0);
    jobs.asked().say(answer());
    REQUIRE(jobs.is("a", State::done));
    jobs.settle(100);
    CHECK(jobs.keeping.claims <= 3);
}

TEST_CASE("a job that is committed while a claim is under way is not overlooked", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.on_applied = [&] {  // the claim has found nothing
        jobs.keeping.add("a");
        jobs.runners->on_enqueued("q", 0);
    };
    jobs.runners->start();
    jobs.asked().say(answer());
    CHECK(jobs.is("a", State::done));
}

TEST_CASE("a scheduled job runs when it is due", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    FakeKeeping::Job& job = jobs.keeping.add("a");
    job.state = State::scheduled;
    job.run_at = jobs.world.loop.clock().unix_ms() + 80;
    jobs.runners->start();
    jobs.asked().say(answer());
    CHECK(jobs.world.loop.clock().unix_ms() >= job.run_at);
    REQUIRE(jobs.is("a", State::done));
    FakeKeeping::Job& later = jobs.keeping.add("b");
    later.state = State::scheduled;
    later.run_at = jobs.world.loop.clock().unix_ms() + 50;
    const int claims = jobs.keeping.claims;
    jobs.runners->on_enqueued("q", later.run_at);
    CHECK(jobs.keeping.claims == claims);
    jobs.asked(1).say(answer());
    CHECK(jobs.is("b", State::done));
}

TEST_CASE("a claim that fails is made again, less and less often", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.keeping.failing = 2;
    jobs.runners->start();
    jobs.asked().say(answer());
    REQUIRE(jobs.is("a", State::done));
    CHECK(jobs.keeping.failed == 2);
    CHECK(jobs.runner().figures().claims_failed == 2);
}

TEST_CASE("an end that is not stored is told again until it is, and keeps its place", "[jobs]") {
    Members members(2);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.keeping.add("b");
    jobs.keeping.fails_claims = false;
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    jobs.keeping.failing = 3;
    talk.say(answer("kept"));
    REQUIRE(jobs.until([&] { return jobs.keeping.failed == 2; }));
    CHECK(jobs.runner().figures().untold == 1);
    CHECK(members.talks.size() == 1);  // the place is taken, though a member is idle
    REQUIRE(jobs.is("a", State::done));
    CHECK(jobs.keeping.failed == 3);
    CHECK(jobs.keeping.jobs["a"].result == "kept");
    jobs.asked(1).say(answer());
    CHECK(jobs.is("b", State::done));
}

TEST_CASE("a paused queue runs nothing until it goes on", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.runners->set_paused("q", true);
    jobs.runners->start();
    jobs.settle(50);
    CHECK(jobs.keeping.claims == 0);
    jobs.runners->set_paused("q", false);
    jobs.asked().say(answer());
    CHECK(jobs.is("a", State::done));
}

TEST_CASE("a queue goes on that was paused before its runner came", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.runners->start();
    REQUIRE(jobs.until([&] { return jobs.keeping.claims == 1; }));  // the store gives nothing out
    jobs.settle();
    jobs.keeping.add("a");
    jobs.runners->set_paused("q", false);
    jobs.asked().say(answer());
    CHECK(jobs.is("a", State::done));
}

TEST_CASE("jobs begin at their queue's rate", "[jobs]") {
    Members members(8);
    JobsWorld jobs(members, [](conf::Queue& queue) {
        queue.concurrency = 8;
        queue.rate = 20;
    });
    for (int i = 0; i < 8; ++i) jobs.keeping.add(std::to_string(i));
    const auto begun = ipc::monotonic_us();
    jobs.runners->start();
    REQUIRE(jobs.until([&] { return members.talks.size() == 8; }));
    CHECK(ipc::monotonic_us() - begun >= 290'000);  // two at once, and then one every 50 ms
    for (Conversation& talk : members.talks) talk.say(answer());
    CHECK(jobs.until([&] { return jobs.keeping.count(State::done) == 8; }));
}

TEST_CASE("of jobs with the same key no more run than may", "[jobs]") {
    Members members(4);
    JobsWorld jobs(members, [](conf::Queue& queue) {
        queue.concurrency = 4;
        queue.key_concurrency = 1;
    });
    for (int i = 0; i < 5; ++i) jobs.keeping.add("a" + std::to_string(i), "", "same");
    jobs.keeping.add("b", "", "other");
    jobs.runners->start();
    REQUIRE(jobs.until([&] { return members.talks.size() == 2; }));
    jobs.settle(20);
    CHECK(members.talks.size() == 2);
    CHECK(jobs.keeping.count(State::running) == 2);
    REQUIRE(jobs.until([&] {
        CHECK(jobs.keeping.count(State::running) <= 2);
        for (Conversation& talk : members.talks)
            if (talk.said == 0 && talk.heard.size() > 100) talk.say(answer());
        return jobs.keeping.count(State::done) == 6;
    }));
}

// ---- members that others want too -----------------------------------------------------------------

TEST_CASE("no job is claimed while no member is idle, and one is as soon as there is one", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    const auto task = members.table->acquire(0, JobsWorld::row + 1, 1);
    REQUIRE(task);
    jobs.keeping.add("a");
    jobs.runners->start();
    jobs.settle(20);
    CHECK(jobs.keeping.claims == 0);
    CHECK(members.table->waiting(0) == 1);  // so that a pool that can grow does
    REQUIRE(members.table->release(*task, 1));
    jobs.asked().say(answer());
    REQUIRE(jobs.is("a", State::done));
    CHECK(members.table->waiting(0) == 0);
}

TEST_CASE("requests that wait for a member come before jobs", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    REQUIRE(members.table->enter(0, JobsWorld::row + 1));
    jobs.keeping.add("a");
    jobs.runners->start();
    jobs.let_pass(200);
    CHECK(jobs.keeping.claims == 0);
    CHECK(members.state() == MemberState::idle);  // it is for them
    members.table->leave(0, JobsWorld::row + 1);
    jobs.asked().say(answer());
    CHECK(jobs.is("a", State::done));
}

TEST_CASE("a member that is taken while a claim is under way is waited for with the job in hand", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.keeping.held = true;
    jobs.runners->start();
    const auto task = members.table->acquire(0, JobsWorld::row + 1, 1);
    REQUIRE(task);
    jobs.keeping.let_go();
    REQUIRE(jobs.is("a", State::running));
    jobs.settle(20);
    CHECK(jobs.runner().figures().waiting == 1);
    CHECK(members.talks.empty());
    REQUIRE(members.table->release(*task, 1));
    jobs.asked().say(answer());
    CHECK(jobs.is("a", State::done));
}

TEST_CASE("two queues of one pool have its only member in turn", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    conf::Queue& other = jobs.add_queue("other");
    other.pool = "p";
    other.concurrency = 4;
    jobs.config.queues.front().concurrency = 4;
    jobs.begin();
    for (int i = 0; i < 6; ++i) jobs.keeping.add("a" + std::to_string(i));
    for (int i = 0; i < 6; ++i) jobs.keeping.add("b" + std::to_string(i), "", "", "other");
    jobs.runners->start();
    std::size_t others = 0;
    for (std::size_t at = 0; at < 12; ++at) {
        Conversation& talk = jobs.asked(at);
        if (at < 6) others += talk.heard.find("JOB_QUEUEother") != std::string::npos ? 1 : 0;
        talk.say(answer());
    }
    CHECK(others >= 2);
    CHECK(others <= 4);
    CHECK(jobs.until([&] { return jobs.keeping.count(State::done) == 12; }));
}

// ---- beside an older keeper -----------------------------------------------------------------------

TEST_CASE("what another keeper runs takes places, until it is over there", "[jobs]") {
    Members members(2);
    JobsWorld jobs(members, [](conf::Queue& queue) { queue.concurrency = 2; });
    jobs.keeping.elsewhere = 2;
    for (const char* id : {"a", "b", "c"}) jobs.keeping.add(id);
    jobs.runners->start();
    jobs.settle(20);
    CHECK(jobs.keeping.count(State::running) == 0);
    CHECK(jobs.keeping.claims == 1);
    jobs.keeping.elsewhere = 1;
    jobs.runners->wake("q");
    jobs.asked(0).say(answer());  // nobody says that there is a place now, but its own end does
    jobs.asked(1).say(answer());
    jobs.asked(2).say(answer());
    REQUIRE(jobs.until([&] { return jobs.keeping.count(State::done) == 3; }));
    CHECK(jobs.keeping.running_max == 1);
}

TEST_CASE("who comes to another keeper asks what was wished of the jobs that run", "[jobs]") {
    Members members(2);
    JobsWorld jobs(members, [](conf::Queue& queue) { queue.concurrency = 2; });
    jobs.keeping.add("a");
    jobs.keeping.add("b");
    jobs.runners->start();
    Conversation& first = jobs.asked(0);
    Conversation& second = jobs.asked(1);
    jobs.keeping.jobs["a"].cancelling = true;
    jobs.runners->ask_for_wishes();
    const bool is_first = first.heard.find("JOB_IDa") != std::string::npos;
    REQUIRE(jobs.until([&] { return (is_first ? first : second).ended; }));
    CHECK_FALSE((is_first ? second : first).ended);
    for (std::uint32_t member : {0u, 1u})
        (void)members.table->change(0, member, MemberState::overdue, MemberState::off, 1);
    REQUIRE(jobs.is("a", State::cancelled));
    (is_first ? second : first).say(answer());
    CHECK(jobs.is("b", State::done));
}

// ---- leaving --------------------------------------------------------------------------------------

TEST_CASE("who drains finishes what runs, and begins nothing", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.keeping.add("b");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    std::optional<std::size_t> unstored;
    jobs.runners->drain(60s, [&](std::size_t left) { unstored = left; });
    jobs.settle(20);
    CHECK_FALSE(unstored);
    talk.say(answer());
    REQUIRE(jobs.until([&] { return unstored.has_value(); }));
    CHECK(unstored == 0u);
    CHECK(jobs.keeping.jobs["a"].state == State::done);
    CHECK(jobs.keeping.jobs["b"].state == State::ready);
    CHECK(jobs.keeping.jobs["b"].claimed.attempt == 0);
}

TEST_CASE("what runs at the end of a drain is given back, without an attempt spent", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    std::optional<std::size_t> unstored;
    jobs.runners->drain(50ms, [&](std::size_t left) { unstored = left; });
    REQUIRE(jobs.until([&] { return talk.ended; }));
    CHECK(members.state() == MemberState::overdue);
    REQUIRE(members.table->change(0, 0, MemberState::overdue, MemberState::off, 1));
    REQUIRE(jobs.until([&] { return unstored.has_value(); }));
    CHECK(unstored == 0u);
    CHECK(jobs.keeping.jobs["a"].endings == std::vector{Ending::released});
    CHECK(jobs.keeping.jobs["a"].state == State::ready);
    CHECK(jobs.keeping.jobs["a"].claimed.attempt == 0);
}

TEST_CASE("a job is given back when its process is gone, however long that takes", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.config.pools.front().kill_grace = 60s;
    jobs.begin();
    jobs.keeping.add("a");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    std::optional<std::size_t> unstored;
    jobs.runners->drain(10ms, [&](std::size_t left) { unstored = left; });
    REQUIRE(jobs.until([&] { return talk.ended; }));
    jobs.let_pass(2'500);  // of a minute: it could still be at it
    CHECK(members.state() == MemberState::overdue);
    CHECK(jobs.keeping.jobs["a"].endings.empty());
    CHECK_FALSE(unstored);
    REQUIRE(members.table->change(0, 0, MemberState::overdue, MemberState::off, 1));
    REQUIRE(jobs.until([&] { return unstored.has_value(); }));
    CHECK(jobs.keeping.jobs["a"].endings == std::vector{Ending::released});
}

TEST_CASE("jobs of a claim that was under way when the drain began are given back at once", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.keeping.held = true;
    jobs.runners->start();
    std::optional<std::size_t> unstored;
    jobs.runners->drain(60s, [&](std::size_t left) { unstored = left; });
    jobs.settle(20);
    CHECK_FALSE(unstored);
    jobs.keeping.let_go();
    REQUIRE(jobs.until([&] { return unstored.has_value(); }));
    CHECK(jobs.keeping.jobs["a"].endings == std::vector{Ending::released});
    CHECK(members.talks.empty());
    CHECK(members.state() == MemberState::idle);
}

TEST_CASE("a store that takes nothing does not hold up the end for ever", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    jobs.keeping.failing = 1'000'000;
    talk.say(answer());
    std::optional<std::size_t> unstored;
    jobs.runners->drain(10ms, [&](std::size_t left) { unstored = left; });
    REQUIRE(jobs.until([&] { return unstored.has_value(); }));
    CHECK(unstored == 1u);
}

TEST_CASE("once somebody else has the store, the ends of what runs are told to that one", "[jobs]") {
    Members members(1);
    JobsWorld jobs(members);
    jobs.keeping.add("a");
    jobs.runners->start();
    Conversation& talk = jobs.asked();
    FakeKeeping next(jobs.world.loop);
    next.add("a") = jobs.keeping.jobs["a"];
    std::optional<std::size_t> unstored;
    jobs.runners->drain(60s, [&](std::size_t left) { unstored = left; });
    jobs.runners->keep_with(next);
    next.failing = 1;
    talk.say(answer("to the next"));
    REQUIRE(jobs.until([&] { return unstored.has_value(); }));
    CHECK(jobs.keeping.finishes == 0);
    CHECK(next.finishes == 1);
    CHECK(next.failed == 1);
    CHECK(next.jobs["a"].result == "to the next");
}
