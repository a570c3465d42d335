// tests/worker/jobs_store_finish_test.cpp: what becomes of a job when an attempt is over, or when somebody
// wishes.

#include <catch2/catch.hpp>

#include "tests/worker/jobs_store.h"

using namespace jobs_store;

TEST_CASE("a job that is done has its result, and its body goes", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    const auto job = world.claim_one();
    world.now += 50;
    Finish asked;
    asked.id = job.id;
    asked.fence = job.fence;
    asked.result_type = "text/plain";
    asked.result = std::string("\0ok", 3);

    const auto answer = world.ask(asked).answer;

    CHECK(answer.accepted);
    CHECK(answer.state == State::done);
    const auto seen = world.get("a");
    CHECK(seen.state == State::done);
    CHECK(seen.started == world.now - 50);
    CHECK(seen.ended == world.now);
    CHECK(seen.attempts_made == 1);
    CHECK(seen.result == asked.result);
    CHECK(seen.result_type == "text/plain");
    CHECK(seen.result_size == 3);
    REQUIRE(seen.history.size() == 1);
    CHECK(seen.history[0].number == 1);
    CHECK(seen.history[0].started == world.now - 50);
    CHECK(seen.history[0].ended == world.now);
    CHECK(seen.history[0].ending == Ending::done);
    CHECK(world.stats().bytes == 0);
}

TEST_CASE("a result is read only where it is asked for", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    const auto job = world.claim_one();
    Finish asked;
    asked.id = job.id;
    asked.fence = job.fence;
    asked.result = "ok";
    world.ask(asked);
    Get get;
    get.id = "a";
    const auto answer = world.ask(get).answer;
    CHECK_FALSE(answer.job.result);
    CHECK(answer.job.result_size == 2);
    CHECK_FALSE(answer.job.result_cut);
}

TEST_CASE("a job that is a request comes with it, and its result with how it was answered", "[jobs][async]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.request = std::string("\1\0\0\0PUT /", 9);
    world.enqueue(wanted);
    CHECK(world.stats().bytes == wanted.body.size() + wanted.request.size());
    const auto job = world.claim_one();
    CHECK(job.request == wanted.request);
    CHECK(job.body == wanted.body);
    Finish asked;
    asked.id = job.id;
    asked.fence = job.fence;
    asked.result_status = 204;
    asked.result_fields = "ETag: x\r\n";
    world.ask(asked);
    const auto seen = world.get("a");
    CHECK(seen.state == State::done);
    CHECK(seen.result_status == 204);
    CHECK(seen.result_fields == "ETag: x\r\n");
    CHECK(seen.result == "");
    world.enqueue("plain");
    CHECK(world.claim_one().request.empty());
}

TEST_CASE("a result for which there is no room is not told, but its size is", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    const auto job = world.claim_one();
    Finish asked;
    asked.id = job.id;
    asked.fence = job.fence;
    asked.result = "12345";
    asked.result_cut = true;
    world.ask(asked);
    Get get;
    get.id = "a";
    get.with_result = true;
    get.room = 4;
    CHECK_FALSE(world.ask(get).answer.job.result);
    get.room = world.ask(get).answer.job.result_size;
    const auto answer = world.ask(get).answer;
    CHECK(answer.job.result == "12345");
    CHECK(answer.job.result_cut);
}

TEST_CASE("an empty result is one, and so is the beginning of which nothing is left", "[jobs]") {
    AnyWorld world;
    const auto told = [&](const std::string& id, const std::string& type, bool was_cut) {
        world.enqueue(id);
        const auto job = world.claim_one();
        Finish asked;
        asked.id = job.id;
        asked.fence = job.fence;
        asked.result_type = type;
        asked.result_cut = was_cut;
        world.ask(asked);
        return world.get(id);
    };
    const auto empty = told("a", "text/plain", false);
    CHECK(empty.result == "");
    CHECK_FALSE(empty.result_cut);
    const auto nothing_left = told("b", "", true);
    CHECK(nothing_left.result == "");
    CHECK(nothing_left.result_cut);
    CHECK_FALSE(told("c", "", false).result);
}

TEST_CASE("who comes late with an old fence is refused, and changes nothing", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    const auto late = world.claim_one();
    world.finish(late, Ending::released);
    const auto job = world.claim_one();
    REQUIRE(job.fence > late.fence);

    CHECK_FALSE(world.finish(late, Ending::done).accepted);
    Progress progress;
    progress.id = "a";
    progress.fence = late.fence;
    progress.text = "half";
    CHECK_FALSE(world.ask(progress).answer.accepted);

    CHECK(world.get("a").state == State::running);
    CHECK(world.get("a").progress.empty());
    CHECK(world.finish(job, Ending::done).accepted);
    Finish unknown;
    unknown.id = "b";
    CHECK_FALSE(world.ask(unknown).answer.accepted);
}

TEST_CASE("an end said again is accepted again; another one is not", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    const auto job = world.claim_one();
    CHECK(world.finish(job, Ending::failed, world.now + 10).accepted);
    const auto again = world.finish(job, Ending::failed, world.now + 500);
    CHECK(again.accepted);
    CHECK(again.state == State::scheduled);
    CHECK_FALSE(world.finish(job, Ending::done).accepted);
    CHECK(world.get("a").run_at == world.now + 10);
    CHECK(world.get("a").history.size() == 1);
    CHECK(world.stats().scheduled == 1);
}

TEST_CASE("a job that fails is tried again when it says, until its attempts are spent", "[jobs]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.attempts = 3;
    world.enqueue(wanted);
    for (std::uint32_t attempt = 1; attempt <= 2; ++attempt) {
        const auto job = world.claim_one();
        CHECK(job.attempt == attempt);
        const auto ending = attempt == 1 ? Ending::failed : Ending::timed_out;
        CHECK(world.finish(job, ending, world.now + 100, "no").state == State::scheduled);
        CHECK(world.claim().empty());
        world.now += 100;
    }
    CHECK(world.finish(world.claim_one(), Ending::failed, world.now + 100, "still no").state == State::dead);

    const auto seen = world.get("a");
    CHECK(seen.state == State::dead);
    CHECK(seen.attempts_made == 3);
    CHECK(seen.reason.find("3 attempts") != std::string::npos);
    CHECK(seen.reason.find("still no") != std::string::npos);
    CHECK(seen.history.size() == 3);
    CHECK(seen.history[1].ending == Ending::timed_out);
    CHECK(world.stats().dead == 1);
    CHECK(world.claim().empty());
}

TEST_CASE("a failure that is for good makes a job dead at once", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    CHECK(world.finish(world.claim_one(), Ending::permanent, 0, "no such address").state == State::dead);
    CHECK(world.get("a").reason == "failed for good: no such address");
}

TEST_CASE("a job that crashes runs again at once, three times in all", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    world.enqueue("b");
    for (std::uint32_t crash = 0; crash < 3; ++crash) {
        const auto job = world.claim_one();
        CHECK(job.id == "a");  // where it was before
        CHECK(job.crashes == crash);
        world.finish(job, Ending::crashed, 0, "signal 11");
    }
    const auto seen = world.get("a");
    CHECK(seen.state == State::dead);
    CHECK(seen.crashes == 3);
    CHECK(seen.reason == "crashed 3 times: signal 11");
    CHECK(world.claim_one().id == "b");
}

TEST_CASE("crashes do not make more attempts than were asked for", "[jobs]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.attempts = 1;
    world.enqueue(wanted);
    CHECK(world.finish(world.claim_one(), Ending::crashed).state == State::dead);
}

TEST_CASE("without a bound a job is tried for ever", "[jobs]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.attempts = 0;
    world.enqueue(wanted);
    for (int i = 0; i < 50; ++i)
        REQUIRE(world.finish(world.claim_one(), Ending::failed).state == State::ready);
    const auto seen = world.get("a");
    CHECK(seen.attempts_made == 50);
    REQUIRE(seen.history.size() == 20);
    CHECK(seen.history.front().number == 31);
    CHECK(seen.history.back().number == 50);
}

TEST_CASE("what was given back has spent no attempt", "[jobs]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.attempts = 1;
    world.enqueue(wanted);
    for (int i = 0; i < 3; ++i) {
        const auto job = world.claim_one();
        CHECK(job.attempt == 1);
        CHECK(world.finish(job, Ending::released).state == State::ready);
    }
    CHECK(world.get("a").attempts_made == 0);
    CHECK(world.get("a").history.empty());
}

TEST_CASE("jobs of owners that are gone are ready again, and have spent an attempt", "[jobs]") {
    AnyWorld world;
    auto once = world.job("once");
    once.attempts = 1;
    world.enqueue(once);
    world.enqueue("b");
    world.claim(2);
    world.owner = "other";
    world.enqueue("c");
    world.claim_one();

    Recover recover;
    recover.alive = {"other", "third"};
    const auto answer = world.ask(recover).answer;
    CHECK(answer.recovered == 2);
    REQUIRE(answer.queues.size() == 1);
    CHECK(answer.queues[0].queue == "mail");
    CHECK(answer.queues[0].jobs == 2);

    CHECK(world.get("once").state == State::dead);
    const auto seen = world.get("b");
    CHECK(seen.state == State::ready);
    CHECK(seen.attempts_made == 1);
    CHECK(seen.crashes == 0);
    REQUIRE(seen.history.size() == 1);
    CHECK(seen.history[0].ending == Ending::lost);
    CHECK(world.get("c").state == State::running);
    CHECK(world.claim_one().attempt == 2);
}

TEST_CASE("of an owner that is gone no more than a thousand jobs are given back at once", "[jobs]") {
    AnyWorld world;
    constexpr int many = 2300;
    std::vector<Operation> batch;
    for (int i = 0; i < many; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i), i % 2 == 0 ? "mail" : "video");
        batch.emplace_back(std::move(one));
    }
    REQUIRE(world.store->apply(batch, world.now));
    REQUIRE(world.claim(many / 2).size() == many / 2);
    REQUIRE(world.claim(many / 2 - 1, 0, "video").size() == many / 2 - 1);
    world.owner = "other";
    REQUIRE(world.claim(1, 0, "video").size() == 1);
    std::uint64_t left = many - 1;
    Recover recover;
    recover.alive = {"other"};
    while (left > 0) {
        const auto answer = world.ask(recover).answer;
        CHECK(answer.recovered == std::min<std::uint64_t>(left, recovered_max));
        CHECK(answer.more == (left >= recovered_max));
        std::uint64_t told = 0;
        for (const auto& lost : answer.queues) told += lost.jobs;
        CHECK(told == answer.recovered);
        left -= answer.recovered;
    }
    CHECK(world.stats().ready == many / 2);
    CHECK(world.stats("video").ready == many / 2 - 1);
    CHECK(world.stats("video").running == 1);
    CHECK_FALSE(world.ask(recover).answer.more);
}

TEST_CASE("with leases those are lost whose lease is over, unless it was extended", "[jobs]") {
    AnyWorld world;
    for (const auto* id : {"a", "b"}) world.enqueue(id);
    const auto claim = [&](const std::string& owner) {
        Claim asked;
        asked.queue = "mail";
        asked.owner = owner;
        asked.lease_until = world.now + 100;
        REQUIRE(world.ask(asked).answer.jobs.size() == 1);
    };
    claim("one");
    claim("two");
    Extend extend;
    extend.owner = "two";
    extend.lease_until = world.now + 200;
    world.ask(extend);
    Recover recover;
    recover.by_lease = true;
    CHECK(world.ask(recover).answer.recovered == 0);
    world.now += 100;
    CHECK(world.ask(recover).answer.recovered == 1);
    CHECK(world.get("a").state == State::ready);
    CHECK(world.get("b").state == State::running);
}

TEST_CASE("a job that waits is cancelled at once, one that runs when its handler lets go", "[jobs]") {
    using What = Cancel::Answer::What;
    AnyWorld world;
    world.enqueue("a");
    CHECK(world.cancel("unknown").what == What::unknown);
    CHECK(world.cancel("a").what == What::cancelled);
    CHECK(world.get("a").state == State::cancelled);
    CHECK(world.cancel("a").what == What::over);
    CHECK(world.claim().empty());

    world.enqueue("b");
    const auto job = world.claim_one();
    const auto answer = world.cancel("b");
    CHECK(answer.what == What::running);
    CHECK(answer.fence == job.fence);
    CHECK(answer.owner == "me");
    CHECK(world.cancel("b").what == What::running);
    CHECK(world.get("b").state == State::running);
    CHECK(world.get("b").cancelling);
    Progress progress;
    progress.id = "b";
    progress.fence = job.fence;
    progress.text = "90 %";
    const auto said = world.ask(progress).answer;
    CHECK(said.accepted);
    CHECK(said.cancelling);
    CHECK(world.get("b").progress == "90 %");

    const auto ending = GENERATE(Ending::cancelled, Ending::failed, Ending::crashed, Ending::released,
                                 Ending::permanent, Ending::timed_out, Ending::done);
    CAPTURE(static_cast<int>(ending));
    const auto state = world.finish(job, ending).state;
    CHECK(state == (ending == Ending::done ? State::done : State::cancelled));
    CHECK(world.claim().empty());
    CHECK_FALSE(world.get("b").cancelling);
}

TEST_CASE("a running job that somebody wants cancelled does not run again when its owner is gone", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    world.claim_one();
    world.cancel("a");
    world.ask(Recover{});
    CHECK(world.get("a").state == State::cancelled);
}

TEST_CASE("a dead job that is retried has its attempts anew, and its history", "[jobs]") {
    using What = Retry::Answer::What;
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.attempts = 2;
    world.enqueue(wanted);
    CHECK(world.retry("a").what == What::not_over);
    for (int i = 0; i < 2; ++i) world.finish(world.claim_one(), Ending::crashed);
    REQUIRE(world.get("a").state == State::dead);

    const auto answer = world.retry("a");

    CHECK(answer.what == What::ready);
    CHECK(answer.queue == "mail");
    auto seen = world.get("a");
    CHECK(seen.attempts_made == 0);
    CHECK(seen.crashes == 0);
    CHECK(seen.ended == 0);
    CHECK(seen.reason.empty());
    CHECK(seen.history.size() == 2);
    CHECK(world.stats().bytes == wanted.body.size());
    const auto job = world.claim_one();
    CHECK(job.attempt == 1);
    CHECK(job.body == wanted.body);
    CHECK(world.retry("a").what == What::not_over);
    world.finish(job, Ending::done);
    seen = world.get("a");
    REQUIRE(seen.history.size() == 3);
    CHECK(seen.history[2].number == 3);
    CHECK(world.retry("a").what == What::done);
    CHECK(world.retry("b").what == What::unknown);
}

TEST_CASE("a scheduled job that is retried runs now, a cancelled one again", "[jobs]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.run_at = world.now + 1'000'000;
    world.enqueue(wanted);
    CHECK(world.retry("a").what == Retry::Answer::What::ready);
    CHECK(world.claim_one().id == "a");
    world.enqueue("b");
    world.cancel("b");
    CHECK(world.retry("b").what == Retry::Answer::What::ready);
    CHECK(world.claim_one().id == "b");
}

TEST_CASE("errors and progress are kept up to a kilobyte", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    const auto job = world.claim_one();
    Progress progress;
    progress.id = "a";
    progress.fence = job.fence;
    progress.text.assign(5000, 'p');
    world.ask(progress);
    world.finish(job, Ending::failed, 0, std::string(5000, 'e'));
    CHECK(world.get("a").progress.size() == 1024);
    CHECK(world.get("a").history[0].error.size() == 1024);
}
