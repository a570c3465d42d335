// tests/worker/jobs_postgres_open_test.cpp: a database that is had for jobs, or is not, and what is said of
// it.

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include "ipc/clock.h"
#include "tests/worker/jobs_store.h"
#include "tests/worker/turn.h"
#include "worker/jobs/postgres_schema.h"

using namespace jobs_store;
using namespace std::chrono_literals;

namespace {

struct Database : World {
    Database() : World(fresh_postgres(), "/tmp") {}
};

}  // namespace

TEST_CASE("tables of newer versions and a schema of something else are refused, and left",
          "[jobs][postgres]") {
    {
        Database world;
        world.enqueue("a");
    }
    SECTION("newer") {
        postgres().ask("UPDATE reeve.meta SET version = 99");
        const auto opened = PostgresStore::open(postgres().url(), {});
        REQUIRE_FALSE(opened);
        CHECK(opened.error().text().find("newer version") != std::string::npos);
        CHECK(postgres().ask("SELECT count(*) FROM reeve.jobs") == "1");
    }
    SECTION("of something else") {
        postgres().ask("DROP SCHEMA reeve CASCADE; CREATE SCHEMA reeve; CREATE TABLE reeve.mine (a int)");
        const auto opened = PostgresStore::open(postgres().url(), {});
        REQUIRE_FALSE(opened);
        CHECK(opened.error().text().find("something else") != std::string::npos);
        CHECK(postgres().ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'reeve'::regnamespace") ==
              "1");
    }
}

TEST_CASE("tables of the first version are brought to this one, and all is there", "[jobs][postgres]") {
    Database world;
    world.enqueue("a");
    world.store.reset();
    postgres().ask("ALTER TABLE reeve.payloads DROP COLUMN request");
    postgres().ask("ALTER TABLE reeve.results DROP COLUMN status, DROP COLUMN fields");
    postgres().ask("UPDATE reeve.meta SET version = 1");
    world.open();
    CHECK(postgres().ask("SELECT version FROM reeve.meta") == std::to_string(postgres_schema_version));
    auto wanted = world.job("b");
    wanted.request = "PUT";
    world.enqueue(wanted);
    const auto got = world.claim(2);
    REQUIRE(ids(got) == Names{"a", "b"});
    CHECK(got[0].request.empty());
    CHECK(got[1].request == "PUT");
}

TEST_CASE("a database that cannot be had is told of in all its words, and tried again", "[jobs][postgres]") {
    const Logged log;
    const auto told = [&](const std::string& url) {
        CHECK(PostgresStore::open(url, {}));
        return log.text();
    };
    SECTION("one that is not there") {
        CHECK(told("postgresql://reeve@/nowhere?host=" + postgres().socket_folder())
                  .find("database \\\"nowhere\\\" does not exist") != std::string::npos);
    }
    SECTION("whoever is not known there") {
        CHECK(told("postgresql://nobody@/postgres?host=" + postgres().socket_folder())
                  .find("role \\\"nobody\\\" does not exist") != std::string::npos);
    }
    SECTION("at several addresses") {
        const auto text = told("postgresql://reeve@/postgres?host=/nowhere/one,/nowhere/two");
        CHECK(text.find("/nowhere/one") != std::string::npos);
        CHECK(text.find("/nowhere/two") != std::string::npos);
        CHECK(text.find("\\t") == std::string::npos);
    }
}

TEST_CASE("tables that somebody else is making are waited for, not taken for what they are not",
          "[jobs][postgres]") {
    const Logged log;
    const auto url = fresh_postgres();
    const std::unique_ptr<PGconn, void (*)(PGconn*)> other(PQconnectdb(url.c_str()), PQfinish);
    PQclear(PQexec(other.get(), "BEGIN; SELECT pg_advisory_xact_lock(1919247722, 0)"));
    PostgresOptions options;
    options.timeout = 200ms;
    const auto store = PostgresStore::open(url, options);
    REQUIRE(store);
    PQclear(PQexec(other.get(), "ROLLBACK"));
    const auto until = ipc::monotonic_ms() + 10'000;
    bool stored = false;
    while (!stored && ipc::monotonic_ms() < until) {
        std::vector<Operation> batch{Stats{}};
        stored = static_cast<bool>((*store)->apply(batch, 1'000'000'000));
    }
    CHECK(stored);
}

TEST_CASE("a database that forgets with its power is told of", "[jobs][postgres]") {
    const Logged log;
    Database world;  // those of the tests have no fsync
    CHECK(log.text().find("fsync = off") != std::string::npos);
}

TEST_CASE("nodes that come at once make the tables once", "[jobs][postgres]") {
    const auto url = fresh_postgres();
    std::atomic<int> opened{0};
    std::vector<std::thread> nodes;
    for (int i = 0; i < 6; ++i) nodes.emplace_back([&] { opened += PostgresStore::open(url, {}) ? 1 : 0; });
    for (auto& node : nodes) node.join();
    CHECK(opened == 6);
    CHECK(postgres().ask("SELECT version FROM reeve.meta") == std::to_string(postgres_schema_version));
}
