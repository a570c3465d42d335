// tests/worker/jobs_store_random_test.cpp: whatever is asked in whatever order, a store keeps its word.

#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "tests/worker/jobs_store.h"

using namespace jobs_store;

namespace {

/// Asks at random, and remembers what runs.
class Random {
 public:
    explicit Random(unsigned seed) : random_(seed) {}

    void step() {
        switch (number(12)) {
            case 0:
            case 1:
            case 2:
            case 3: return enqueue();
            case 4:
            case 5: return claim();
            case 6:
            case 7: return finish();
            case 8:
                if (const auto id = any(); !id.empty()) world.cancel(id);
                return;
            case 9:
                if (const auto id = any(); !id.empty()) world.retry(id);
                return;
            case 10: return seldom();
            default: world.now += number(200) - 50; return;  // also back
        }
    }
    void claim() {
        const std::uint32_t bound = bound_;
        for (auto& job : world.claim(static_cast<std::uint32_t>(1 + number(4)), bound, queue())) {
            if (!job.key.empty()) {
                std::size_t same = 0;
                for (const auto& [id, other] : running)
                    if (other.queue == job.queue && other.key == job.key) ++same;
                CHECK(same < bound);
            }
            CHECK(running.emplace(job.id, job).second);  // nothing runs twice
            CHECK(job.fence > fence_);
            fence_ = job.fence;
        }
    }
    void finish() {
        if (running.empty()) return;
        auto at = std::next(running.begin(), number(static_cast<int>(running.size())));
        const auto ending = static_cast<Ending>(number(7));
        CHECK(world.finish(at->second, ending, world.now + number(100)).accepted);
        running.erase(at);
    }

    AnyWorld world;
    std::map<std::string, Claimed> running;

 private:
    int number(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
    std::string queue() { return number(3) == 0 ? "video" : "mail"; }
    std::string any() { return made_ == 0 ? "" : "job" + std::to_string(number(made_)); }

    void enqueue() {
        auto wanted = world.job("job" + std::to_string(made_++), queue());
        wanted.priority = number(3);
        wanted.attempts = static_cast<std::uint32_t>(number(4));
        if (number(2) == 0) wanted.key = "key" + std::to_string(number(3));
        if (number(10) == 0) wanted.unique = "unique" + std::to_string(number(2));
        if (number(3) == 0) wanted.run_at = world.now + number(300);
        world.enqueue(wanted, {.jobs = 60, .bytes = 0});
    }
    void seldom() {
        switch (number(7)) {
            case 0: {
                Purge purge;
                purge.queue = queue();
                purge.states = {static_cast<State>(number(6))};
                world.ask(purge);
                return;
            }
            case 1: {
                Expire expire;
                expire.queues = {{queue(), world.now - 100, world.now - 200}};
                world.ask(expire);
                return;
            }
            case 2:
                world.reopen();
                if (number(2) == 0) return;
                world.ask(Recover{});  // nobody is alive
                running.clear();
                return;
            case 3: bound_ = static_cast<std::uint32_t>(1 + number(3)); return;
            default: world.store->tidy(); return;
        }
    }

    std::mt19937 random_;
    int made_ = 0;
    std::uint32_t bound_ = 1;
    std::int64_t fence_ = 0;
};

/// The counters are what can be counted.
void check_stats(World& world) {
    for (const auto& queue : world.ask(Stats{}).answer.queues) {
        const std::vector<std::pair<State, std::uint64_t>> counters = {
            {State::scheduled, queue.scheduled}, {State::ready, queue.ready},
            {State::running, queue.running},     {State::done, queue.done},
            {State::dead, queue.dead},           {State::cancelled, queue.cancelled}};
        std::uint64_t bytes = 0;
        for (const auto& [state, counter] : counters) {
            List list;
            list.queue = queue.name;
            list.states = {state};
            list.limit = 1000;
            const auto answer = world.ask(list).answer;
            REQUIRE(answer.next.empty());
            CHECK(answer.jobs.size() == counter);
            for (const auto& job : answer.jobs) {
                CHECK(job.state == state);
                if (state <= State::running) bytes += job.body_size;
            }
        }
        CHECK(bytes == queue.bytes);
    }
}

int first_number(const std::string& path, const char* sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    const int number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
}

}  // namespace

TEST_CASE("counters are right, keys have their bound and nothing is forgotten, whatever is asked", "[jobs]") {
    const unsigned seed = GENERATE(1U, 2U, 3U);
    CAPTURE(seed);
    Random random(seed);
    AnyWorld& world = random.world;
    for (int i = 0; i < 1500; ++i) {
        random.step();
        if (i % 100 == 0) check_stats(world);
    }
    check_stats(world);

    // all that can run does, in the end
    world.now += 1'000'000;
    for (int i = 0; i < 2000 && !(world.stats().ready + world.stats().scheduled + world.stats("video").ready +
                                      world.stats("video").scheduled ==
                                  0);
         ++i) {
        random.claim();
        random.finish();
        world.now += 100;
    }
    CHECK(world.stats().ready == 0);
    CHECK(world.stats("video").ready == 0);
    check_stats(world);

    world.store.reset();
    const auto count = [&](const std::string& from, const std::string& where) {
        const std::string schema = world.engine == Engine::postgres ? "reeve." : "";
        const auto statement = "SELECT count(*) FROM " + schema + from + " WHERE " + where;
        if (world.engine == Engine::postgres) return std::atoi(postgres().ask(statement).c_str());
        return first_number(world.folder.file(), statement.c_str());
    };
    if (world.engine == Engine::sqlite)
        CHECK(first_number(world.folder.file(),
                           "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1);
    CHECK(count("jobs", "parked AND state = 1") == 0);
    for (const auto* table : {"payloads", "results", "notes", "attempts"}) {
        CAPTURE(table);
        const std::string jobs = world.engine == Engine::postgres ? "reeve.jobs" : "jobs";
        CHECK(count(table, "seq NOT IN (SELECT seq FROM " + jobs + ")") == 0);
    }
}
