// tests/worker/jobs_postgres_test.cpp: what only a PostgreSQL does: several nodes at once, a server that goes
// and comes, and answers that are lost.

#include <catch2/catch.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "ipc/clock.h"
#include "tests/conf/temporary_folder.h"
#include "tests/worker/jobs_store.h"
#include "tests/worker/socket_relay.h"
#include "tests/worker/turn.h"
#include "worker/jobs/owner_name.h"
#include "worker/jobs/postgres_bell.h"

using namespace jobs_store;
using namespace std::chrono_literals;

namespace {

std::unique_ptr<Store> another(const std::string& url = postgres().url(), bool own_clock = true) {
    PostgresOptions options;
    options.own_clock = own_clock;
    auto opened = PostgresStore::open(url, options);
    if (!opened) throw std::runtime_error(opened.error().text());
    return std::move(*opened);
}

/// Says one thing to a store, on any thread.
template <class One>
One say(Store& store, One one, UnixMs now = 1'000'000'000) {
    std::vector<Operation> batch;
    batch.emplace_back(std::move(one));
    if (auto applied = store.apply(batch, now); !applied) throw std::runtime_error(applied.error().text());
    return std::get<One>(std::move(batch[0]));
}

std::vector<Operation> many(World& world, int count, const std::function<void(NewJob&, int)>& each) {
    std::vector<Operation> batch;
    for (int i = 0; i < count; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i));
        each(one.job, i);
        batch.emplace_back(std::move(one));
    }
    return batch;
}

Claim claim_of(const std::string& owner, std::uint32_t count, std::uint32_t keys = 0) {
    Claim claim;
    claim.queue = "mail";
    claim.owner = owner;
    claim.count = count;
    claim.key_concurrency = keys;
    claim.lease_until = 1'000'000'000 + 3'600'000;
    return claim;
}

Finish end_of(const Claimed& job, Ending ending) {
    Finish finish;
    finish.id = job.id;
    finish.fence = job.fence;
    finish.ending = ending;
    finish.crashes_max = 0;
    return finish;
}

struct Database : World {
    Database() : World(fresh_postgres(), "/tmp") {}
};

}  // namespace

TEST_CASE("any bytes are kept as they are", "[jobs][postgres]") {
    Database world;
    auto wanted = world.job(std::string("id\0\xff'\\", 6));
    const std::string odd("\0\xc3\x28\xff\\x\"", 7);
    wanted.key = wanted.callback = wanted.trace = wanted.content_type = wanted.unique = odd;
    wanted.idempotency_key = wanted.fingerprint = odd;
    wanted.idempotency_until = world.now + 1000;
    wanted.queue = "q\xff";
    CHECK(world.enqueue(wanted).what == Enqueue::Answer::What::created);
    CHECK(world.enqueue(wanted).what == Enqueue::Answer::What::existing);
    const auto got = world.claim(1, 1, wanted.queue);
    REQUIRE(got.size() == 1);
    CHECK(got[0].id == wanted.id);
    CHECK(got[0].key == odd);
    CHECK(got[0].trace == odd);
    CHECK(got[0].content_type == odd);
    world.finish(got[0], Ending::permanent, 0, odd);
    CHECK(world.get(wanted.id).history[0].error == odd);
    CHECK(world.get(wanted.id).reason == "failed for good: " + odd);
    CHECK_FALSE(world.there("\xff"));
}

TEST_CASE("two nodes have each job once", "[jobs][postgres]") {
    Database world;
    auto batch = many(world, 2000, [](NewJob&, int) {});
    REQUIRE(world.store->apply(batch, world.now));
    std::mutex mutex;
    std::multiset<std::string> ran;
    std::vector<std::thread> nodes;
    std::atomic<int> failures{0};
    for (const std::string owner : {"one", "two", "three"})
        nodes.emplace_back([&, owner] {
            try {
                const auto store = another();
                for (int empty = 0; empty < 3;) {
                    const auto answer = say(*store, claim_of(owner, 7)).answer;
                    if (answer.jobs.empty() && answer.next == 0) ++empty;
                    std::vector<Operation> ends;
                    for (const auto& job : answer.jobs) ends.emplace_back(end_of(job, Ending::done));
                    if (!ends.empty() && !store->apply(ends, 1'000'000'000)) ++failures;
                    const std::lock_guard lock(mutex);
                    for (const auto& job : answer.jobs) ran.insert(job.id);
                }
            } catch (const std::exception&) {
                ++failures;
            }
        });
    for (auto& node : nodes) node.join();
    CHECK(failures == 0);
    CHECK(ran.size() == 2000);
    CHECK(std::set<std::string>(ran.begin(), ran.end()).size() == 2000);
    const auto stats = world.stats();
    CHECK(stats.done == 2000);
    CHECK(stats.ready + stats.running == 0);
    CHECK(stats.bytes == 0);
}

TEST_CASE("what runs on a machine counts for all its owners, and for those of no other", "[jobs][postgres]") {
    Database world;
    auto batch = many(world, 8, [](NewJob&, int) {});
    REQUIRE(world.store->apply(batch, world.now));
    const auto claim = [&](const std::string& owner) {
        Claim asked = claim_of(owner, 3);
        asked.running_max = 3;
        return world.ask(std::move(asked)).answer;
    };
    auto here = claim("here-1:10:1");
    CHECK(here.jobs.size() == 3);
    CHECK_FALSE(here.held);
    CHECK(claim("here-1:20:2").held);  // the next keeper there
    CHECK(claim("here-1:20:2").jobs.empty());
    const auto there = claim("here-10:10:1");
    CHECK(there.jobs.size() == 3);
    CHECK_FALSE(there.held);

    world.finish(here.jobs[0], Ending::done);
    here = claim("here-1:20:2");
    CHECK(here.jobs.size() == 1);
    CHECK(here.held);
}

TEST_CASE("over all nodes one job of a key runs at once, and none is forgotten", "[jobs][postgres]") {
    constexpr int keys = 5, jobs = 300;
    Database world;
    auto batch = many(world, jobs, [](NewJob& job, int i) { job.key = "key" + std::to_string(i % keys); });
    REQUIRE(world.store->apply(batch, world.now));
    std::array<std::atomic<int>, keys> running{};
    std::atomic<int> done{0}, doubled{0}, failures{0};
    const auto until = ipc::monotonic_ms() + 60'000;
    std::vector<std::thread> nodes;
    for (const std::string owner : {"one", "two", "three"})
        nodes.emplace_back([&, owner] {
            try {
                const auto store = another();
                std::mt19937 random(static_cast<unsigned>(owner.size()));
                while (done < jobs && ipc::monotonic_ms() < until) {
                    const auto got = say(*store, claim_of(owner, 3, 1)).answer.jobs;
                    const auto same = [&](const Claimed& job) -> std::atomic<int>& {
                        return running.at(static_cast<std::size_t>(job.key[3] - '0'));
                    };
                    for (const auto& job : got)
                        if (same(job)++ != 0) ++doubled;
                    say(*store, Stats{});  // they run for a while
                    for (const auto& job : got) {
                        const bool ends = random() % 4 != 0;
                        const auto ending = ends                ? Ending::done
                                            : random() % 2 == 0 ? Ending::crashed
                                                                : Ending::released;
                        --same(job);
                        if (!say(*store, end_of(job, ending)).answer.accepted) ++failures;
                        if (ends) ++done;
                    }
                }
            } catch (const std::exception&) {
                ++failures;
            }
        });
    for (auto& node : nodes) node.join();
    CHECK(failures == 0);
    CHECK(doubled == 0);
    CHECK(done == jobs);
    CHECK(world.stats().ready == 0);
}

TEST_CASE("batches that meet in opposite orders are all stored", "[jobs][postgres]") {
    Database world;
    std::mutex mutex;
    Names failures;
    std::vector<std::thread> nodes;
    for (const bool forth : {true, false})
        nodes.emplace_back([&, forth] {
            const auto store = another();
            for (int round = 0; round < 30; ++round) {
                std::vector<Operation> batch;
                for (int i = 0; i < 20; ++i) {
                    Enqueue one;
                    const auto number = std::to_string(forth ? i : 19 - i);
                    one.job.id = (forth ? "f" : "b") + std::to_string(round) + "-" + number;
                    one.job.queue = "mail";
                    one.job.idempotency_key = std::to_string(round) + "-" + number;
                    one.job.idempotency_until = 2'000'000'000;
                    batch.emplace_back(std::move(one));
                }
                const auto applied = store->apply(batch, 1'000'000'000);
                if (applied) continue;
                const std::lock_guard lock(mutex);
                failures.push_back(applied.error().text());
            }
        });
    for (auto& node : nodes) node.join();
    CHECK(failures == Names{});
    CHECK(world.stats().ready == 30 * 20);
}

TEST_CASE("a connection that was ended meanwhile is no failure", "[jobs][postgres]") {
    const Logged log;
    Database world;
    world.enqueue("a");
    postgres().ask(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'reeve'");
    CHECK(world.enqueue(world.job("b")).what == Enqueue::Answer::What::created);
    CHECK(world.stats().ready == 2);
}

TEST_CASE("an answer that is lost is asked for again: jobs are there once, and run once",
          "[jobs][postgres]") {
    const Logged log;
    Database world;
    const TemporaryFolder folder;
    SocketRelay relay(folder.path(".s.PGSQL.5432"), postgres().socket_folder() + "/.s.PGSQL.5432");
    const auto store = another(PostgresServer::url_at(folder.path("").substr(0, folder.path("").size() - 1)));
    world.enqueue("a");
    std::vector<Operation> batch;
    Enqueue enqueue;
    enqueue.job = world.job("b");
    batch.emplace_back(enqueue);
    batch.emplace_back(claim_of("me", 5));
    Retry retry;
    retry.id = "unknown";
    batch.emplace_back(retry);
    relay.cut_at_next_answer();

    REQUIRE(store->apply(batch, world.now));

    CHECK(relay.cuts() == 1);
    CHECK(std::get<Enqueue>(batch[0]).answer.what == Enqueue::Answer::What::created);
    const auto& claimed = std::get<Claim>(batch[1]).answer.jobs;
    REQUIRE(ids(claimed) == Names{"a", "b"});
    CHECK(claimed[0].attempt == 1);
    CHECK(claimed[0].fence > 2);  // those of the first time are nobody's
    CHECK(world.stats().running == 2);
    for (const auto& job : claimed) CHECK(world.finish(job, Ending::done).accepted);
    CHECK(world.stats().done == 2);
}

TEST_CASE("while the database is away batches fail soon, and all is there when it is back",
          "[jobs][postgres]") {
    const Logged log;
    PostgresServer server;
    const auto store = another(server.url());
    Enqueue enqueue;
    enqueue.job.id = "a";
    enqueue.job.queue = "mail";
    REQUIRE(say(*store, enqueue).answer.what == Enqueue::Answer::What::created);
    const auto running = say(*store, claim_of("me", 1)).answer.jobs;
    REQUIRE(running.size() == 1);

    const bool crashes = GENERATE(false, true);
    CAPTURE(crashes);
    server.stop(crashes ? SIGQUIT : SIGINT);
    enqueue.job.id = "b";
    const auto before = ipc::monotonic_ms();
    for (int i = 0; i < 20; ++i) CHECK_THROWS(say(*store, enqueue));
    CHECK(ipc::monotonic_ms() - before < 5000);
    server.start();

    const auto back = ipc::monotonic_ms();
    bool stored = false;
    while (!stored && ipc::monotonic_ms() - back < 10'000) {
        std::vector<Operation> batch{enqueue};
        stored = static_cast<bool>(store->apply(batch, 1'000'000'000));
    }
    CHECK(stored);
    CHECK(say(*store, end_of(running[0], Ending::done)).answer.accepted);
    CHECK(log.text().find("reached again") != std::string::npos);
}

TEST_CASE("leases go by the clock of the database, however a node's is set", "[jobs][postgres]") {
    Database world;
    const auto store = another(postgres().url(), false);
    world.enqueue("a");
    const auto there = say(*store, claim_of("me", 1)).answer.jobs;
    REQUIRE(there.size() == 1);
    Recover recover;
    recover.by_lease = true;
    for (const UnixMs now : {UnixMs{0}, UnixMs{1'000'000'000}, UnixMs{9'000'000'000'000}})
        CHECK(say(*store, recover, now).answer.recovered == 0);
    postgres().ask("UPDATE reeve.owners SET lease = extract(epoch FROM now()) * 1000 - 1");
    CHECK(say(*store, recover).answer.recovered == 1);
    CHECK_FALSE(say(*store, end_of(there[0], Ending::done)).answer.accepted);
    CHECK(world.get("a").state == State::ready);
}

TEST_CASE("what waits too long in the database fails, and the next batch does not", "[jobs][postgres]") {
    Database world;
    world.enqueue("a");
    PostgresOptions options;
    options.timeout = 300ms;
    auto store = PostgresStore::open(postgres().url(), options);
    REQUIRE(store);
    const std::unique_ptr<PGconn, void (*)(PGconn*)> other(PQconnectdb(postgres().url().c_str()), PQfinish);
    PQclear(PQexec(other.get(), "BEGIN; LOCK TABLE reeve.jobs"));
    CHECK_THROWS(say(**store, claim_of("me", 1)));
    PQclear(PQexec(other.get(), "ROLLBACK"));
    CHECK(say(**store, claim_of("me", 1)).answer.jobs.size() == 1);
}

TEST_CASE("a node is told what another one stored, and not what it stored itself", "[jobs][postgres]") {
    struct Node {
        explicit Node(worker::execution::Loop& loop)
            : bell(loop, postgres().url(), 2s,
                   {.queue = [this](const std::string& queue) { heard.push_back(queue); },
                    .cancel =
                        [this](const std::string& id, std::int64_t fence) {
                            heard.push_back(id + " " + std::to_string(fence));
                        }}) {}
        [[nodiscard]] auto count(const std::string& what) const {
            return std::count(heard.begin(), heard.end(), what);
        }
        std::vector<std::string> heard;
        PostgresBell bell;
    };
    ipc::LoopCell cell;
    worker::execution::Loop loop{cell};
    const auto until = [&](const std::function<bool()>& is_so) {
        const auto end = ipc::monotonic_ms() + 20'000;
        while (!is_so() && ipc::monotonic_ms() < end)
            Turn(
                loop, [] {}, 1ms);
        return is_so();
    };
    Node one(loop), two(loop);
    REQUIRE(until([&] { return one.count("") == 1 && two.count("") == 1; }));  // each begins by looking
    for (int i = 0; i < 100; ++i) one.bell.ring("mail");
    one.bell.ring("nonsense\nq mail");
    one.bell.cancel("some-id", 7);
    REQUIRE(until([&] { return two.count("mail") > 0 && two.count("some-id 7") == 1; }));
    CHECK(two.count("mail") <= 3);
    CHECK(one.heard.size() == 1);

    postgres().ask(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'reeve bell'");
    REQUIRE(until([&] { return one.count("") == 2 && two.count("") == 2; }));
    two.bell.ring("video");
    CHECK(until([&] { return one.count("video") == 1; }));
}

TEST_CASE("an owner is gone when its process is, and of others nothing is known", "[jobs][postgres]") {
    const auto me = owner_name();
    CHECK_FALSE(owner_is_gone(me));
    const auto colon = me.find(':');
    CHECK(owner_is_gone(me.substr(0, colon) + ":99999999:1"));
    CHECK_FALSE(owner_is_gone("otherboot-1:99999999:1"));
    CHECK_FALSE(owner_is_gone(me.substr(0, colon) + ":x:1"));
    CHECK_FALSE(owner_is_gone(""));
}
