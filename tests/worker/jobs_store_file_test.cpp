// tests/worker/jobs_store_file_test.cpp: the file that jobs are in: who may have it, and how large it gets.

#include <sqlite3.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "tests/worker/jobs_store.h"

using namespace jobs_store;

namespace {

/// What SQLite itself finds in the file of a store that nobody has open.
class Raw {
 public:
    explicit Raw(const std::string& path) { REQUIRE(sqlite3_open(path.c_str(), &db_) == SQLITE_OK); }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;
    ~Raw() { sqlite3_close(db_); }
    int run(const char* sql) { return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); }

 private:
    sqlite3* db_ = nullptr;
};

unsigned mode_of(const std::string& path) {
    struct stat about {};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    return about.st_mode & 0777U;
}

std::string refusal(const std::string& path, SqliteOptions options = {}) {
    const auto opened = SqliteStore::open(path, options);
    REQUIRE_FALSE(opened);
    return opened.error().text();
}

}  // namespace

TEST_CASE("a store makes its folder and file, for its user alone", "[jobs]") {
    const Folder folder;
    const auto path = folder.file("new/deep/jobs.db");
    const auto opened = SqliteStore::open(path, {});
    REQUIRE(opened);
    CHECK(mode_of(folder.file("new/deep")) == 0700);
    CHECK(mode_of(path) == 0600);
    CHECK(mode_of(path + "-wal") == 0600);
    CHECK(mode_of(path + ".lock") == 0600);
    CHECK_FALSE(std::filesystem::exists(path + "-shm"));
}

TEST_CASE("one instance has a file; another one waits for it, or is refused", "[jobs]") {
    const Folder folder;
    auto first = SqliteStore::open(folder.file(), {});
    REQUIRE(first);
    CHECK(refusal(folder.file()).find("another process has it") != std::string::npos);

    SqliteOptions waiting;
    waiting.lock_wait = std::chrono::seconds(30);
    std::thread other([&] { first->reset(); });
    const auto second = SqliteStore::open(folder.file(), waiting);
    other.join();
    CHECK(second);
}

TEST_CASE("nobody else reads or writes the file while a store has it", "[jobs]") {
    World world;
    world.enqueue("a");
    Raw raw(world.folder.file());
    CHECK(raw.run("SELECT count(*) FROM jobs") == SQLITE_BUSY);
    CHECK(world.enqueue("b").what == Enqueue::Answer::What::created);
}

TEST_CASE("all is there when a store is opened again", "[jobs]") {
    AnyWorld world;
    world.enqueue("done");
    world.enqueue("running");
    world.enqueue("ready");
    auto later = world.job("later");
    later.run_at = world.now + 10;
    world.enqueue(later);
    world.finish(world.claim_one(), Ending::done);
    const auto running = world.claim_one();
    const auto before = world.stats();

    world.reopen();

    const auto stats = world.stats();
    CHECK(stats.scheduled == 1);
    CHECK(stats.ready == 1);
    CHECK(stats.running == 1);
    CHECK(stats.done == 1);
    CHECK(stats.bytes == before.bytes);
    CHECK(world.get("done").history.size() == 1);
    CHECK(world.finish(running, Ending::done).accepted);
    CHECK(world.claim_one().body == "body of ready");
}

TEST_CASE("a file of the first version is brought to this one, and all is there", "[jobs][async]") {
    World world;
    world.enqueue("ready");
    world.enqueue("done");
    world.claim_one();
    auto wanted = world.job("later");
    wanted.run_at = world.now + 10;
    world.enqueue(wanted);
    world.store.reset();
    {
        Raw raw(world.folder.file());
        for (const auto* sql :
             {"ALTER TABLE payloads DROP COLUMN request", "ALTER TABLE notes DROP COLUMN status",
              "ALTER TABLE notes DROP COLUMN fields", "PRAGMA user_version = 1"})
            REQUIRE(raw.run(sql) == SQLITE_OK);
    }
    world.open();
    CHECK(world.stats().running == 1);
    CHECK(world.stats().scheduled == 1);
    const auto job = world.claim_one();
    CHECK(job.body == "body of done");
    CHECK(job.request.empty());
    CHECK(world.finish(job, Ending::done).accepted);
    CHECK(world.get("done").result_status == 0);
}

TEST_CASE("files of newer versions and of others are refused, and left as they are", "[jobs]") {
    const Folder folder;
    const auto path = folder.file();
    SECTION("newer") {
        REQUIRE(SqliteStore::open(path, {}));
        Raw(path).run("PRAGMA user_version = 99");
        CHECK(refusal(path).find("newer version of reeve") != std::string::npos);
        CHECK(refusal(path).find("99") != std::string::npos);
    }
    SECTION("of something else") {
        Raw(path).run("CREATE TABLE mine (x)");
        CHECK(refusal(path).find("not a store of jobs") != std::string::npos);
        CHECK(Raw(path).run("SELECT x FROM mine") == SQLITE_OK);
    }
    SECTION("no database at all") {
        std::ofstream(path) << std::string(10'000, 'x');
        CHECK(refusal(path).find("not a database") != std::string::npos);
        CHECK(refusal(path).find(path) != std::string::npos);
    }
    SECTION("a folder that cannot be") {
        std::ofstream(folder.file("file")) << "x";
        CHECK(refusal(folder.file("file/jobs.db")).find("file") != std::string::npos);
    }
}

TEST_CASE("file systems of a network are refused", "[jobs]") {
    CHECK(StoreLock::is_network(0x6969));
    CHECK(StoreLock::is_network(static_cast<long>(0xFF534D42)));
    CHECK(StoreLock::is_network(static_cast<std::int32_t>(0xFE534D42)));
    CHECK_FALSE(StoreLock::is_network(0xEF53));      // ext4
    CHECK_FALSE(StoreLock::is_network(0x58465342));  // XFS
}

TEST_CASE("a batch is one sync, reading is none", "[jobs]") {
    World world;
    world.enqueue("first");
    const auto before = world.store->figures();
    std::vector<Operation> batch;
    for (int i = 0; i < 64; ++i) {
        Enqueue one;
        one.job = world.job("job" + std::to_string(i));
        batch.emplace_back(one);
    }
    REQUIRE(world.store->apply(batch, world.now));
    CHECK(world.store->figures().commits == before.commits + 1);
    CHECK(world.store->figures().syncs == before.syncs + 1);
    world.ask(List{});
    CHECK(world.store->figures().commits == before.commits + 1);
    CHECK(world.store->figures().syncs == before.syncs + 1);
}

TEST_CASE("the log stays within its bound, and goes when nothing is to be done", "[jobs]") {
    SqliteOptions options;
    options.wal_max = 256UL * 1024;
    World world(options);
    std::uint64_t largest = 0;
    for (int i = 0; i < 200; ++i) {
        auto wanted = world.job("job" + std::to_string(i));
        wanted.body.assign(8000, 'x');
        world.enqueue(wanted);
        world.ask(Stats{});
        largest = std::max(largest, world.store->figures().wal_bytes);
    }
    CHECK(largest > 64UL * 1024);
    CHECK(largest < options.wal_max);
    for (int i = 0; i < 3; ++i) world.store->tidy();
    CHECK(world.store->figures().wal_bytes == 0);
    CHECK(world.stats().ready == 200);
}

TEST_CASE("room that is no longer used is given back to the disk", "[jobs]") {
    World world;
    const auto size = [&] { return std::filesystem::file_size(world.folder.file()); };
    for (int i = 0; i < 40; ++i) {
        auto wanted = world.job("job" + std::to_string(i));
        wanted.body.assign(1'000'000, 'x');
        world.enqueue(wanted);
    }
    world.store->tidy();
    world.store->tidy();
    const auto full = size();
    CHECK(full > 40'000'000);
    Purge purge;
    purge.queue = "mail";
    while (world.ask(purge).answer.more) {
    }
    for (int i = 0; i < 30; ++i) world.store->tidy();
    CHECK(size() < full / 2);
    CHECK(world.enqueue("again").what == Enqueue::Answer::What::created);
}

TEST_CASE("a batch that takes too long fails as a whole, and the next one does not", "[jobs]") {
    SqliteOptions options;
    options.timeout = std::chrono::milliseconds(-1);
    World world(options);
    Enqueue asked;
    asked.job = world.job("a");
    const auto failed = world.attempt(asked);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().text().find("too long") != std::string::npos);
    World other;
    CHECK(other.enqueue("a").what == Enqueue::Answer::What::created);
}
