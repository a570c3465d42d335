// tests/worker/jobs_store_views_test.cpp: lists of jobs, and how they go from a store in the end.

#include <catch2/catch.hpp>

#include "tests/worker/jobs_store.h"

using namespace jobs_store;

TEST_CASE("a list has the newest first, page by page", "[jobs]") {
    AnyWorld world;
    for (int i = 0; i < 7; ++i)
        world.enqueue(world.job("a" + std::to_string(i), i % 2 == 0 ? "mail" : "video"));
    world.finish(world.claim_one(), Ending::permanent);  // a0
    world.claim_one();                                   // a2

    const auto pages = [&](List asked) {
        Names all;
        asked.limit = 2;
        for (int page = 0; page < 10; ++page) {
            auto answer = world.ask(asked).answer;
            CHECK(answer.jobs.size() <= 2);
            for (auto& id : ids(answer.jobs)) all.push_back(id);
            if (answer.next.empty()) return all;
            asked.after = answer.next;
        }
        FAIL("it does not end");
        return all;
    };
    List asked;
    CHECK(pages(asked) == Names{"a6", "a5", "a4", "a3", "a2", "a1", "a0"});
    asked.queue = "mail";
    CHECK(pages(asked) == Names{"a6", "a4", "a2", "a0"});
    asked.states = {State::dead, State::ready};
    CHECK(pages(asked) == Names{"a6", "a4", "a0"});
    asked.queue.clear();
    asked.states = {State::ready};
    CHECK(pages(asked) == Names{"a6", "a5", "a4", "a3", "a1"});
    asked.states = {State::dead};
    CHECK(pages(asked) == Names{"a0"});
    asked.queue = "unheard of";
    CHECK(pages(asked).empty());
}

TEST_CASE("a list is no longer than it may be, whatever is asked", "[jobs]") {
    AnyWorld world;
    std::vector<Operation> batch;
    for (std::uint32_t i = 0; i <= listed_max; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i));
        batch.emplace_back(std::move(one));
    }
    REQUIRE(world.store->apply(batch, world.now));
    List list;
    list.queue = GENERATE("", "mail");
    list.limit = 2 * listed_max;
    auto answer = world.ask(list).answer;
    CHECK(answer.jobs.size() == listed_max);
    list.after = answer.next;
    answer = world.ask(list).answer;
    CHECK(ids(answer.jobs) == Names{"job0"});
    CHECK(answer.next.empty());
}

TEST_CASE("a page that begins where a job was deleted goes on behind it", "[jobs]") {
    AnyWorld world;
    for (int i = 0; i < 4; ++i) world.enqueue("a" + std::to_string(i));
    List asked;
    asked.limit = 2;
    asked.after = world.ask(asked).answer.next;
    Purge purge;
    purge.queue = "mail";
    world.ask(purge);
    CHECK(world.ask(asked).answer.jobs.empty());
    world.enqueue("new");
    asked.after = "nonsense";
    CHECK(world.ask(asked).answer.jobs.empty());
}

TEST_CASE("purge deletes what it is told to, and never what runs", "[jobs]") {
    AnyWorld world;
    for (const auto* id : {"dead", "running", "old"}) world.enqueue(id);
    world.finish(world.claim_one(), Ending::permanent);
    const auto running = world.claim_one();
    auto later = world.job("scheduled");
    later.run_at = world.now + 100;
    world.enqueue(later);
    const auto created = world.now;
    world.now += 10;
    world.enqueue("young");
    world.enqueue(world.job("elsewhere", "video"));

    Purge purge;
    purge.queue = "mail";
    purge.states = {State::dead, State::running};
    CHECK(world.ask(purge).answer.purged == 1);
    CHECK_FALSE(world.there("dead"));
    purge.states.clear();
    purge.before = created + 1;
    CHECK(world.ask(purge).answer.purged == 2);
    CHECK_FALSE(world.there("old"));
    CHECK_FALSE(world.there("scheduled"));
    CHECK(world.there("young"));
    purge.before = 0;
    CHECK(world.ask(purge).answer.purged == 1);
    CHECK(world.there("running"));
    CHECK(world.there("elsewhere"));
    CHECK(world.finish(running, Ending::done).accepted);
    CHECK(world.stats().ready == 0);
    CHECK(world.stats().bytes == 0);
}

TEST_CASE("purge goes on where it has not finished", "[jobs]") {
    AnyWorld world;
    std::vector<Operation> batch;
    for (int i = 0; i < 2500; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i));
        batch.emplace_back(one);
    }
    REQUIRE(world.store->apply(batch, world.now));
    Purge purge;
    purge.queue = "mail";
    std::vector<std::uint64_t> purged;
    for (bool more = true; more;) {
        const auto answer = world.ask(purge).answer;
        purged.push_back(answer.purged);
        more = answer.more;
    }
    CHECK(purged == std::vector<std::uint64_t>{1000, 1000, 500});
    CHECK(world.stats().ready == 0);
}

TEST_CASE("purge and expiry delete no more bytes at once than they may", "[jobs]") {
    AnyWorld world;
    const std::size_t third = removed_bytes_max / 3 + 1;
    for (int i = 0; i < 5; ++i) {
        auto wanted = world.job("a" + std::to_string(i));
        wanted.body.assign(third, 'x');
        world.enqueue(wanted);
    }
    Purge purge;
    purge.queue = "mail";
    auto answer = world.ask(purge).answer;
    CHECK(answer.purged == 3);
    CHECK(answer.more);
    answer = world.ask(purge).answer;
    CHECK(answer.purged == 2);
    CHECK_FALSE(answer.more);

    for (int i = 0; i < 5; ++i) {
        world.enqueue("b" + std::to_string(i));
        const auto job = world.claim_one();
        Finish done;
        done.id = job.id;
        done.fence = job.fence;
        done.result.assign(third, 'x');
        world.ask(done);
    }
    Expire expire;
    expire.queues = {{"mail", world.now + 1, world.now + 1}};
    auto expired = world.ask(expire).answer;
    CHECK(expired.expired == 3);
    CHECK(expired.more);
    expired = world.ask(expire).answer;
    CHECK(expired.expired == 2);
    CHECK_FALSE(expired.more);
}

TEST_CASE("what is over is kept as long as its queue says, what is dead longer", "[jobs]") {
    AnyWorld world;
    for (const auto* id : {"done", "cancelled", "dead", "ready"}) world.enqueue(id);
    world.finish(world.claim_one(), Ending::done);
    world.cancel("cancelled");
    world.finish(world.claim_one(), Ending::permanent);
    const auto ended = world.now;
    world.now += 1000;

    Expire expire;
    expire.queues = {{"mail", ended, ended}, {"unheard of", world.now, world.now}};
    CHECK(world.ask(expire).answer.expired == 0);
    expire.queues[0].ended_before = ended + 1;
    CHECK(world.ask(expire).answer.expired == 2);
    CHECK_FALSE(world.there("done"));
    CHECK_FALSE(world.there("cancelled"));
    CHECK(world.there("dead"));
    expire.queues[0].dead_before = ended + 1;
    CHECK(world.ask(expire).answer.expired == 1);
    CHECK_FALSE(world.there("dead"));
    CHECK(world.there("ready"));
    const auto stats = world.stats();
    CHECK(stats.done + stats.dead + stats.cancelled == 0);
    CHECK(stats.ready == 1);
}

TEST_CASE("stats say how long the oldest waits, whatever its priority", "[jobs]") {
    AnyWorld world;
    CHECK(world.ask(Stats{}).answer.queues.empty());
    const auto first = world.now;
    auto low = world.job("low");
    low.priority = -100;
    world.enqueue(low);
    world.now += 10;
    auto high = world.job("high");
    high.priority = 100;
    world.enqueue(high);
    CHECK(world.stats().oldest_ready == first);
    world.claim(2);
    CHECK(world.stats().oldest_ready == 0);
    CHECK(world.stats().running == 2);
}
