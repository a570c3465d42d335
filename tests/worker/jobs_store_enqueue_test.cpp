// tests/worker/jobs_store_enqueue_test.cpp: what a store takes in, and what it has already.

#include <catch2/catch.hpp>

#include "tests/worker/jobs_store.h"

using namespace jobs_store;
using What = Enqueue::Answer::What;

TEST_CASE("a job that was taken is ready, with all that was said of it", "[jobs]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.priority = 7;
    wanted.key = "customer";
    wanted.callback = "http://x/";
    wanted.trace = "00-11";
    wanted.body = std::string("\0\xff zero", 7);

    const auto answer = world.enqueue(wanted);

    CHECK(answer.what == What::created);
    CHECK(answer.id == "a");
    CHECK(answer.state == State::ready);
    const auto job = world.get("a");
    CHECK(job.state == State::ready);
    CHECK(job.queue == "mail");
    CHECK(job.key == "customer");
    CHECK(job.callback == "http://x/");
    CHECK(job.priority == 7);
    CHECK(job.attempts == 10);
    CHECK(job.created == world.now);
    CHECK(job.body_size == 7);
    const auto claimed = world.claim_one();
    CHECK(claimed.body == wanted.body);
    CHECK(claimed.content_type == "text/plain");
    CHECK(claimed.trace == "00-11");
    CHECK(claimed.callback == "http://x/");
    CHECK(claimed.key == "customer");
    CHECK(claimed.attempt == 1);
    CHECK(claimed.attempts == 10);
}

TEST_CASE("a job for later is scheduled", "[jobs]") {
    AnyWorld world;
    auto wanted = world.job("a");
    wanted.run_at = world.now + 5000;

    CHECK(world.enqueue(wanted).state == State::scheduled);

    CHECK(world.stats().scheduled == 1);
    CHECK(world.stats().next_scheduled == world.now + 5000);
    CHECK(world.claim().empty());
}

TEST_CASE("the same id again is the same job", "[jobs]") {
    AnyWorld world;
    world.enqueue("a");
    auto again = world.job("a");
    again.body = "another";

    const auto answer = world.enqueue(again);

    CHECK(answer.what == What::existing);
    CHECK(answer.id == "a");
    CHECK(world.stats().ready == 1);
    CHECK(world.claim_one().body == "body of a");
}

TEST_CASE("the same idempotency key of a queue is the same job until its time is over", "[jobs]") {
    AnyWorld world;
    const auto keyed = [&](const std::string& id, const std::string& print,
                           const std::string& queue = "mail") {
        auto wanted = world.job(id, queue);
        wanted.idempotency_key = "order-1";
        wanted.fingerprint = print;
        wanted.idempotency_until = world.now + 1000;
        return world.enqueue(wanted);
    };
    CHECK(keyed("a", "p").what == What::created);

    const auto same = keyed("b", "p");
    CHECK(same.what == What::existing);
    CHECK(same.id == "a");
    CHECK(same.state == State::ready);
    CHECK(keyed("c", "other").what == What::mismatch);
    CHECK(keyed("d", "other", "video").what == What::created);
    CHECK_FALSE(world.there("b"));
    CHECK_FALSE(world.there("c"));

    SECTION("which is when it says") {
        world.now += 1000;
        CHECK(keyed("e", "other").what == What::created);
        CHECK(keyed("f", "other").id == "e");
    }
    SECTION("also when the job is over and deleted") {
        world.finish(world.claim_one(), Ending::done);
        CHECK(keyed("e", "p").state == State::done);
        world.now += 500;
        Expire expire;
        expire.queues = {{"mail", world.now, 0}};
        CHECK(world.ask(expire).answer.expired == 1);
        REQUIRE_FALSE(world.there("a"));
        const auto answer = keyed("g", "p");
        CHECK(answer.what == What::existing);
        CHECK(answer.id == "a");
        CHECK(answer.state == State::done);
    }
    SECTION("but not when it was purged before it could run") {
        Purge purge;
        purge.queue = "mail";
        purge.states = {State::ready};
        CHECK(world.ask(purge).answer.purged == 1);
        CHECK(keyed("g", "p").what == What::created);
    }
}

TEST_CASE("the same key twice in one batch is one job", "[jobs]") {
    AnyWorld world;
    std::vector<Operation> batch;
    for (int i = 0; i < 100; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i));
        one.job.idempotency_key = "k";
        one.job.idempotency_until = world.now + 1;
        batch.emplace_back(one);
    }
    REQUIRE(world.store->apply(batch, world.now));
    for (std::size_t i = 1; i < batch.size(); ++i) CHECK(std::get<Enqueue>(batch[i]).answer.id == "job0");
    CHECK(world.stats().ready == 1);
}

TEST_CASE("unique: one job of a queue that is not over", "[jobs]") {
    AnyWorld world;
    const auto unique = [&](const std::string& id, const std::string& queue = "mail") {
        auto wanted = world.job(id, queue);
        wanted.unique = "nightly";
        return world.enqueue(wanted);
    };
    CHECK(unique("a").what == What::created);
    CHECK(unique("b").id == "a");
    CHECK(unique("c", "video").what == What::created);
    const auto job = world.claim_one();
    CHECK(unique("b").id == "a");
    CHECK(unique("b").state == State::running);

    world.finish(job, Ending::permanent);

    CHECK(unique("b").what == What::created);
    CHECK(world.retry("a").what == Retry::Answer::What::unique_taken);
    world.finish(world.claim_one(), Ending::done);
    CHECK(world.retry("a").what == Retry::Answer::What::ready);
}

TEST_CASE("a queue takes no more jobs and bytes than it has room for", "[jobs]") {
    AnyWorld world;
    auto large = world.job("c");
    large.body.assign(100, 'x');
    CHECK(world.enqueue(world.job("a"), {.jobs = 2}).what == What::created);
    CHECK(world.enqueue(world.job("b"), {.jobs = 2}).what == What::created);
    CHECK(world.enqueue(world.job("c"), {.jobs = 2}).what == What::full);
    CHECK(world.enqueue(world.job("a"), {.jobs = 2}).what == What::existing);
    CHECK_FALSE(world.there("c"));

    const auto bytes = world.stats().bytes;
    CHECK(bytes == 2 * std::string("body of a").size());
    CHECK(world.enqueue(large, {.jobs = 0, .bytes = bytes + 99}).what == What::full);
    CHECK(world.enqueue(large, {.jobs = 0, .bytes = bytes + 100}).what == What::created);

    world.finish(world.claim_one(), Ending::done);  // what is over takes no room
    CHECK(world.enqueue(world.job("d"), {.jobs = 3}).what == What::created);
}

TEST_CASE("a run of a schedule happens once", "[jobs]") {
    AnyWorld world;
    const auto fire = [&](const std::string& id, UnixMs due, Room room = {}) {
        Fire one;
        one.schedule = "nightly";
        one.due = due;
        one.enqueue.job = world.job(id);
        one.enqueue.room = room;
        return world.ask(one).enqueue.answer;
    };
    const auto last = [&] {
        LastFired asked;
        asked.schedule = "nightly";
        return world.ask(asked).answer.due;
    };
    CHECK(last() == 0);
    CHECK(fire("a", 100).what == What::created);
    CHECK(fire("b", 100).what == What::existing);
    CHECK(fire("b", 100).id == "a");
    CHECK(fire("c", 200, {.jobs = 1}).what == What::full);
    CHECK(last() == 100);
    CHECK(fire("c", 200).what == What::created);
    CHECK(last() == 200);

    world.ask(Expire{});  // 100 is long ago by now; what was last is never forgotten
    CHECK(last() == 200);
    CHECK(fire("d", 100).what == What::created);
    CHECK(fire("d", 200).what == What::existing);
}

TEST_CASE("jobs that come together are as if they had come one by one", "[jobs]") {
    AnyWorld world;
    world.enqueue("job3");
    std::vector<Operation> batch;
    for (int i = 0; i < 10; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i % 8));  // two of them twice
        one.job.priority = i;
        if (i == 5) one.job.run_at = world.now + 1000;
        one.room = {.jobs = 7, .bytes = 0};
        batch.emplace_back(std::move(one));
    }
    const auto answer = [&](std::size_t i) { return std::get<Enqueue>(batch[i]).answer; };
    SECTION("some are there, and some are too many") {
        REQUIRE(world.store->apply(batch, world.now));
        for (const std::size_t i : {0u, 1u, 2u, 4u, 5u, 6u}) CHECK(answer(i).what == What::created);
        CHECK(answer(3).what == What::existing);
        CHECK(answer(5).state == State::scheduled);
        CHECK(answer(7).what == What::full);
        CHECK(answer(8).what == What::existing);
        CHECK(answer(9).id == "job1");
    }
    SECTION("some are there") {
        batch.resize(7);
        for (auto& one : batch) std::get<Enqueue>(one).room.jobs = 100;
        REQUIRE(world.store->apply(batch, world.now));
        for (const std::size_t i : {0u, 1u, 2u, 4u, 5u, 6u}) {
            CHECK(answer(i).what == What::created);
            CHECK(answer(i).id == "job" + std::to_string(i));
        }
        CHECK(answer(3).what == What::existing);
        CHECK(answer(3).state == State::ready);
        CHECK(answer(5).state == State::scheduled);
    }
    const auto stats = world.stats();
    CHECK(stats.ready == 6);
    CHECK(stats.scheduled == 1);
    CHECK(stats.bytes == 7 * std::string("body of job0").size());
    const auto claimed = world.claim(10);
    CHECK(ids(claimed) == Names{"job6", "job4", "job2", "job1", "job3", "job0"});
    for (const auto& job : claimed) CHECK(job.body == "body of " + job.id);
}
