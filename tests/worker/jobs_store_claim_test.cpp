// tests/worker/jobs_store_claim_test.cpp: which jobs a store gives out, and in which order.

#include <catch2/catch.hpp>

#include <set>

#include "tests/worker/jobs_store.h"

using namespace jobs_store;

namespace {

void enqueue_keyed(World& world, const std::string& id, const std::string& key, std::int32_t priority = 0) {
    auto wanted = world.job(id);
    wanted.key = key;
    wanted.priority = priority;
    REQUIRE(world.enqueue(wanted).what == Enqueue::Answer::What::created);
}

}  // namespace

TEST_CASE("claims go by priority, then by time, then by the order they came in", "[jobs]") {
    AnyWorld world;
    const auto add = [&](const std::string& id, std::int32_t priority, UnixMs run_at) {
        auto wanted = world.job(id);
        wanted.priority = priority;
        wanted.run_at = run_at;
        world.enqueue(wanted);
    };
    add("later", 0, world.now + 10);
    add("sooner", 0, world.now + 5);
    add("low", -1, 0);
    add("first", 0, 0);
    add("second", 0, 0);
    add("past", 0, 1);
    add("high", 100, world.now + 20);
    world.now += 20;

    CHECK(ids(world.claim(3)) == Names{"high", "first", "second"});
    CHECK(ids(world.claim(10)) == Names{"past", "sooner", "later", "low"});
    CHECK(world.stats().running == 7);
}

TEST_CASE("claims of a queue have jobs of that queue alone", "[jobs]") {
    AnyWorld world;
    world.enqueue(world.job("a", "mail"));
    world.enqueue(world.job("b", "video"));
    CHECK(ids(world.claim(5, 0, "video")) == Names{"b"});
    CHECK(world.claim(5, 0, "unheard of").empty());
}

TEST_CASE("no more jobs of a queue run than may, whoever runs them", "[jobs]") {
    AnyWorld world;
    for (const char* id : {"a", "b", "c"}) world.enqueue(id);
    world.enqueue(world.job("elsewhere", "video"));
    REQUIRE(world.claim(1, 0, "video").size() == 1);
    Claim asked;
    asked.queue = "mail";
    asked.owner = "older";
    asked.count = asked.running_max = 2;
    const auto older = world.ask(asked).answer;
    CHECK(ids(older.jobs) == Names{"a", "b"});
    CHECK_FALSE(older.held);
    asked.owner = "newer";
    auto answer = world.ask(asked).answer;
    CHECK(answer.jobs.empty());
    CHECK(answer.held);
    world.finish(older.jobs[0], Ending::done);
    answer = world.ask(asked).answer;
    CHECK(ids(answer.jobs) == Names{"c"});
    CHECK(answer.held);
    asked.running_max = 0;
    CHECK_FALSE(world.ask(asked).answer.held);
}

TEST_CASE("a claim says when the next one is due", "[jobs]") {
    AnyWorld world;
    CHECK(world.claim_answer().next == 0);
    auto wanted = world.job("a");
    wanted.run_at = world.now + 100;
    world.enqueue(wanted);
    CHECK(world.claim_answer().next == world.now + 100);
    world.now += 100;
    const auto answer = world.claim_answer();
    CHECK(ids(answer.jobs) == Names{"a"});
    CHECK(answer.next == 0);
}

TEST_CASE("any number of jobs that are due at once run, piece by piece", "[jobs]") {
    AnyWorld world;
    std::vector<Operation> batch;
    for (int i = 0; i < 300; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i));
        one.job.run_at = world.now + 100;
        batch.emplace_back(one);
    }
    REQUIRE(world.store->apply(batch, world.now));
    world.now += 100;
    std::set<std::string> got;
    int claims = 0;
    for (auto answer = world.claim_answer(); !answer.jobs.empty() || answer.next == world.now;
         answer = world.claim_answer(50)) {
        for (const auto& job : answer.jobs) got.insert(job.id);
        REQUIRE(++claims < 20);
    }
    CHECK(got.size() == 300);
}

TEST_CASE("a clock that is set back makes no ready job wait", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    auto wanted = world.job("b");
    wanted.run_at = world.now + 1000;
    world.enqueue(wanted);
    world.now += 2000;
    REQUIRE(ids(world.claim(1)) == Names{"a"});  // and "b" is ready now

    world.now -= 3'600'000;

    CHECK(ids(world.claim(5)) == Names{"b"});
    world.enqueue("c");
    CHECK(ids(world.claim(5)) == Names{"c"});
}

TEST_CASE("a paused queue takes jobs and gives none, also after it was opened again", "[jobs]") {
    AnyWorld world;
    Pause pause;
    pause.queue = "mail";
    world.ask(pause);
    world.enqueue("a");
    CHECK(world.claim().empty());
    CHECK(world.stats().paused);
    world.reopen();
    CHECK(world.claim().empty());
    pause.paused = false;
    world.ask(pause);
    CHECK(ids(world.claim()) == Names{"a"});
    CHECK_FALSE(world.stats().paused);
}

TEST_CASE("fences grow, and are never given out twice", "[jobs]") {
    AnyWorld world;
    std::int64_t last = 0;
    world.enqueue("a");
    for (int round = 0; round < 30; ++round) {
        if (round % 10 == 9) world.reopen();
        const auto job = world.claim_one();
        CHECK(job.fence > last);
        last = job.fence;
        world.finish(job, Ending::released);
    }
}

TEST_CASE("jobs with one key run one after another, others beside them", "[jobs]") {
    AnyWorld world;
    for (const auto* id : {"a1", "a2", "a3"}) enqueue_keyed(world, id, "a");
    enqueue_keyed(world, "b1", "b");
    enqueue_keyed(world, "none", "");
    enqueue_keyed(world, "none2", "");

    const auto first = world.claim(10, 1);
    CHECK(ids(first) == Names{"a1", "b1", "none", "none2"});
    CHECK(world.claim(10, 1).empty());
    CHECK(world.stats().ready == 2);

    // one that comes now waits behind them, one that is more urgent does not
    enqueue_keyed(world, "a4", "a");
    enqueue_keyed(world, "a5", "a", 5);
    CHECK(world.claim(10, 1).empty());
    world.finish(first[0], Ending::done);
    const auto second = world.claim(10, 1);
    CHECK(ids(second) == Names{"a5"});
    world.finish(second[0], Ending::crashed);  // and is ready again at once
    const auto third = world.claim(10, 1);
    CHECK(ids(third) == Names{"a5"});
    world.finish(third[0], Ending::done);
    CHECK(ids(world.claim(10, 1)) == Names{"a2"});
}

TEST_CASE("the place of a key goes on when who was to have it is cancelled, purged or put off", "[jobs]") {
    AnyWorld world;
    for (const auto* id : {"a1", "a2", "a3", "a4"}) enqueue_keyed(world, id, "a");
    const auto first = world.claim(4, 1);
    REQUIRE(ids(first) == Names{"a1"});
    world.finish(first[0], Ending::failed, world.now + 1000);
    world.cancel("a2");
    auto next = world.claim(4, 1);
    REQUIRE(ids(next) == Names{"a3"});
    world.finish(next[0], Ending::done);
    CHECK(ids(world.claim(4, 1)) == Names{"a4"});
}

TEST_CASE("when jobs that hold a key are purged the others are not forgotten", "[jobs]") {
    AnyWorld world;
    for (int i = 0; i < 1200; ++i) enqueue_keyed(world, "a" + std::to_string(i), "a");
    REQUIRE(world.claim(2, 1).size() == 1);
    while (world.claim_answer(2, 1).next == world.now) {
    }
    Purge purge;
    purge.queue = "mail";
    purge.states = {State::ready};
    CHECK(world.ask(purge).answer.purged == 1000);
    world.owner = "another";
    CHECK(world.ask(Recover{}).answer.recovered == 1);
    int ran = 0;
    for (auto got = world.claim(2, 1); !got.empty(); got = world.claim(2, 1), ++ran) {
        REQUIRE(got.size() == 1);
        world.finish(got[0], Ending::done);
    }
    CHECK(ran == 200);
}

TEST_CASE("a bound of keys can be changed, or done away with", "[jobs]") {
    AnyWorld world;
    for (int i = 0; i < 10; ++i) enqueue_keyed(world, "a" + std::to_string(i), "a");
    CHECK(world.claim(10, 1).size() == 1);
    CHECK(world.claim(10, 1).empty());
    CHECK(world.claim(10, 3).size() == 2);
    CHECK(world.claim(10, 3).empty());
    CHECK(world.claim(10, 2).empty());
    CHECK(world.claim(10, 0).size() == 7);
}

TEST_CASE("a long line of one busy key is passed over once, and not in each claim", "[jobs]") {
    AnyWorld world;
    std::vector<Operation> batch;
    for (int i = 0; i < 5000; ++i) {
        Enqueue one;
        one.job = world.job("hot" + std::to_string(i));
        one.job.key = "hot";
        batch.emplace_back(one);
    }
    REQUIRE(world.store->apply(batch, world.now));
    enqueue_keyed(world, "other", "cold");

    int claims = 0;
    std::vector<std::string> got;
    for (auto answer = world.claim_answer(2, 1);; answer = world.claim_answer(2, 1)) {
        for (const auto& job : answer.jobs) got.push_back(job.id);
        ++claims;
        if (answer.next != world.now) break;  // bounded: it says that there is more to be done
    }
    CHECK(got == Names{"hot0", "other"});
    CHECK(claims > 3);
    CHECK(claims < 30);
    // from here on each claim finds at once what it can have
    enqueue_keyed(world, "third", "warm");
    const auto answer = world.claim_answer(2, 1);
    CHECK(ids(answer.jobs) == Names{"third"});
    CHECK(answer.next == 0);
}

TEST_CASE("a claim gives out no more bytes than it may, but for one job, and says that there is more",
          "[jobs]") {
    AnyWorld world;
    const std::size_t half = claimed_bytes_max / 2;
    for (int i = 0; i < 5; ++i) {
        auto wanted = world.job("a" + std::to_string(i));
        wanted.body.assign(i == 3 ? claimed_bytes_max + 1 : half, 'x');
        world.enqueue(wanted);
    }
    auto answer = world.claim_answer(10);
    CHECK(ids(answer.jobs) == Names{"a0", "a1"});
    CHECK(answer.next == world.now);
    CHECK(ids(world.claim(10)) == Names{"a2"});
    CHECK(ids(world.claim(10)) == Names{"a3"});
    answer = world.claim_answer(10);
    CHECK(ids(answer.jobs) == Names{"a4"});
    CHECK(answer.next == 0);
}
