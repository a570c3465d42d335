// tests/worker/jobs_store_failure_test.cpp: disks that are full or fail, processes that are killed, power
// that goes.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <map>
#include <random>

#include "tests/worker/jobs_store.h"

using namespace jobs_store;

namespace {

/// Refuses what it is told to.
class Failing : public DiskWatch {
 public:
    int write(std::string_view, std::int64_t, std::string_view) override { return answer(writes); }
    int truncate(std::string_view, std::int64_t) override { return answer(writes); }
    int sync(std::string_view) override { return answer(syncs); }
    int remove(std::string_view) override { return answer(SQLITE_OK); }

    int writes = SQLITE_OK, syncs = SQLITE_OK;
    /// Refuses the call of this number alone, counted from 1.
    long fails_at = 0, calls = 0;

 private:
    [[nodiscard]] int answer(int usual) { return ++calls == fails_at ? SQLITE_IOERR_WRITE : usual; }
};

/// A disk that has on it what was synced, and of the rest what chance has it. A sync that fails leaves pages
/// that can be read, that no later sync is about, and that are not on the disk: as Linux does it.
class Volatile : public DiskWatch {
 public:
    explicit Volatile(unsigned seed) : random(seed) {}

    int write(std::string_view path, std::int64_t offset, std::string_view bytes) override {
        if (++calls == cut_at) cut();
        files_[std::string(path)].pending.push_back({offset, std::string(bytes), false});
        return SQLITE_OK;
    }
    int truncate(std::string_view path, std::int64_t size) override {
        if (++calls == cut_at) cut();
        files_[std::string(path)].pending.push_back({size, {}, true});
        return SQLITE_OK;
    }
    int sync(std::string_view path) override {
        if (++calls == cut_at) cut();
        File& file = files_[std::string(path)];
        const bool log = path.find("-wal") != std::string_view::npos;
        const bool fails = log && sync_fails_from != 0 && calls >= sync_fails_from;
        if (fails) sync_fails_from = 0;
        for (const auto& change : file.pending)
            if (!fails) apply(file.bytes, change);
        file.pending.clear();
        if (fails && cut_after != 0) cut_at = calls + cut_after;
        return fails ? SQLITE_IOERR_FSYNC : SQLITE_OK;
    }
    int remove(std::string_view path) override {
        files_.erase(std::string(path));
        return SQLITE_OK;
    }
    /// What is on the disk after the power has gone now.
    void cut() {
        image.clear();
        confirmed_at_cut = confirmed;
        for (const auto& [path, file] : files_) {
            std::string bytes = file.bytes;
            for (const auto& change : file.pending)
                if (random() % 2 == 0) apply(bytes, change);
            image[path] = std::move(bytes);
        }
    }

    std::mt19937 random;
    long calls = 0, cut_at = 0, sync_fails_from = 0;
    long cut_after = 0;  ///< so many calls after the sync that failed
    std::vector<std::string> confirmed, confirmed_at_cut;
    std::map<std::string, std::string> image;

 private:
    struct Change {
        std::int64_t at;
        std::string bytes;
        bool truncates;
    };
    struct File {
        std::string bytes;
        std::vector<Change> pending;
    };
    static void apply(std::string& bytes, const Change& change) {
        const auto at = static_cast<std::size_t>(change.at);
        if (change.truncates) return bytes.resize(at);
        if (bytes.size() < at + change.bytes.size()) bytes.resize(at + change.bytes.size());
        bytes.replace(at, change.bytes.size(), change.bytes);
    }
    std::map<std::string, File> files_;
};

SqliteOptions watched(DiskWatch& watch) {
    SqliteOptions options;
    options.watch = &watch;
    options.wal_max = 512UL * 1024;
    return options;
}

bool intact(const std::string& path) {
    sqlite3* db = nullptr;
    std::string said;
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    sqlite3_exec(
        db, "PRAGMA integrity_check",
        [](void* into, int, char** values, char**) {
            static_cast<std::string*>(into)->append(values[0]);
            return 0;
        },
        &said, nullptr);
    sqlite3_close(db);
    return said == "ok";
}

ipc::Result<Enqueue> try_enqueue(World& world, const std::string& id) {
    Enqueue asked;
    asked.job = world.job(id);
    return world.attempt(asked);
}

}  // namespace

TEST_CASE("a full disk: no job is confirmed, reading goes on, and with room all is well again", "[jobs]") {
    Failing disk;
    World world(watched(disk));
    REQUIRE(try_enqueue(world, "before"));

    disk.writes = SQLITE_FULL;
    for (int i = 0; i < 3; ++i) {
        const auto failed = try_enqueue(world, "during");
        REQUIRE_FALSE(failed);
        CHECK(failed.error().text().find("full") != std::string::npos);
        CHECK(failed.error().text().find(world.folder.file()) != std::string::npos);
        CHECK(world.get("before").state == State::ready);
        CHECK_FALSE(world.there("during"));
    }
    disk.writes = SQLITE_OK;

    CHECK(try_enqueue(world, "after"));
    CHECK(ids(world.claim(5)) == Names{"before", "after"});
}

TEST_CASE("a sync that fails: nothing is confirmed, and jobs it gave out are given back", "[jobs]") {
    Failing disk;
    World world(watched(disk));
    REQUIRE(try_enqueue(world, "a"));

    disk.syncs = SQLITE_IOERR_FSYNC;
    Claim claim;
    claim.queue = "mail";
    claim.owner = "me";
    CHECK_FALSE(world.attempt(claim));
    CHECK_FALSE(world.attempt(claim));
    CHECK_FALSE(try_enqueue(world, "b"));
    disk.syncs = SQLITE_OK;

    const auto job = world.claim_one();
    CHECK(job.id == "a");
    CHECK(job.attempt == 1);
    CHECK(world.stats().running == 1);
    CHECK(world.finish(job, Ending::done).accepted);
}

TEST_CASE("answers of a batch that failed are empty", "[jobs]") {
    Failing disk;
    World world(watched(disk));
    REQUIRE(try_enqueue(world, "a"));
    disk.syncs = SQLITE_IOERR_FSYNC;
    std::vector<Operation> batch(2);
    Claim claim;
    claim.queue = "mail";
    claim.owner = "me";
    batch[0] = claim;
    Fire fire;
    fire.enqueue.job = world.job("b");
    batch[1] = fire;
    REQUIRE_FALSE(world.store->apply(batch, world.now));
    CHECK(std::get<Claim>(batch[0]).answer.jobs.empty());
    CHECK(std::get<Fire>(batch[1]).enqueue.answer.id.empty());
}

TEST_CASE("whichever write or sync fails, what was confirmed is there and no counter is wrong", "[jobs]") {
    for (long fails_at = 1;; fails_at += 1 + fails_at / 4) {
        CAPTURE(fails_at);
        Failing disk;
        World world(watched(disk));
        disk.calls = 0;
        disk.fails_at = fails_at;
        Names confirmed;
        for (int i = 0; i < 12; ++i) {
            auto wanted = world.job("job" + std::to_string(i));
            wanted.body.assign(30'000, 'x');
            Enqueue asked;
            asked.job = wanted;
            if (world.attempt(asked)) confirmed.push_back(wanted.id);
            if (i % 4 == 3) {
                Claim claim;
                claim.queue = "mail";
                claim.owner = "me";
                if (auto got = world.attempt(claim); got && !got->answer.jobs.empty()) {
                    Finish finish;
                    finish.id = got->answer.jobs[0].id;
                    finish.fence = got->answer.jobs[0].fence;
                    auto done = world.attempt(finish);
                    if (!done) done = world.attempt(finish);  // said again
                    REQUIRE(done);
                    CHECK(done->answer.accepted);
                }
                world.store->tidy();
            }
        }
        const bool hit = disk.calls >= fails_at;
        disk.fails_at = 0;
        CHECK(try_enqueue(world, "last"));
        if (world.get("last").state == State::ready) confirmed.emplace_back("last");
        for (const auto& id : confirmed) CHECK(world.there(id));
        const auto stats = world.stats();
        List all;
        CHECK(world.ask(all).answer.jobs.size() == stats.ready + stats.running + stats.done);
        CHECK(stats.running == 0);  // nobody has what runs
        if (!hit) break;
        REQUIRE(fails_at < 2000);
    }
}

TEST_CASE("what was confirmed is there after the power went, at whatever moment", "[jobs]") {
    const auto trouble = GENERATE(0, 1, 2);  // none, a sync that fails, a cut soon after it
    for (unsigned seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed, trouble);
        Volatile disk(seed);
        disk.cut_at = 1 + static_cast<long>(disk.random() % (seed % 4 == 0 ? 40 : 400));
        World world(watched(disk));
        if (trouble != 0) disk.sync_fails_from = disk.calls + 1 + static_cast<long>(disk.random() % 150);
        if (trouble == 2) disk.cut_after = 1 + static_cast<long>(disk.random() % 30);
        for (int i = 0; i < 60 && disk.image.empty(); ++i) {
            auto wanted = world.job("job" + std::to_string(i));
            wanted.body.assign(disk.random() % 20'000, 'x');
            Enqueue asked;
            asked.job = wanted;
            if (world.attempt(asked)) disk.confirmed.push_back(wanted.id);
            // soon after it there is nothing in the log but what the failed sync was about
            if (trouble == 2 || i % 10 == 9) world.store->tidy();
            if (trouble == 2) world.store->tidy();
        }
        if (disk.image.empty()) disk.cut();

        World after;
        after.store.reset();
        for (const auto& [path, bytes] : disk.image) {
            const auto name = std::filesystem::path(path).filename();
            std::ofstream(after.folder.file(name), std::ios::binary | std::ios::trunc) << bytes;
        }
        after.open();
        for (const auto& id : disk.confirmed_at_cut) {
            CAPTURE(id);
            CHECK(after.there(id));
        }
        const auto ran = after.claim(100);
        CHECK(ran.size() >= disk.confirmed_at_cut.size());
        after.store.reset();
        CHECK(intact(after.folder.file()));
    }
}

TEST_CASE("what was confirmed is there after kill -9, and batches are there as a whole or not at all",
          "[jobs]") {
    const Folder folder;
    std::mt19937 random(7);
    Names confirmed;
    for (int round = 0; round < 20; ++round) {
        CAPTURE(round);
        std::array<int, 2> pipe{};
        REQUIRE(::pipe(pipe.data()) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            // enqueues five at a time, for as long as it lives, and says which batch was confirmed
            SqliteOptions options;
            options.wal_max = 512UL * 1024;
            auto store = SqliteStore::open(folder.file(), options);
            if (!store) ::_exit(1);
            for (int number = 0;; ++number) {
                std::vector<Operation> batch;
                for (int i = 0; i < 5; ++i) {
                    Enqueue one;
                    one.job.id =
                        std::to_string(round) + "-" + std::to_string(number) + "-" + std::to_string(i);
                    one.job.queue = "mail";
                    one.job.body.assign(2000, 'x');
                    batch.emplace_back(std::move(one));
                }
                if (!(*store)->apply(batch, 1000)) ::_exit(1);
                if (::write(pipe[1], &number, sizeof number) != sizeof number) ::_exit(1);
            }
        }
        ::close(pipe[1]);
        const auto enough = random() % 40;
        int number = -1, last = -1;
        for (unsigned got = 0; got <= enough && ::read(pipe[0], &number, sizeof number) == sizeof number;
             ++got)
            last = number;
        ::kill(child, SIGKILL);
        while (::read(pipe[0], &number, sizeof number) == sizeof number) last = number;
        ::close(pipe[0]);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        REQUIRE(last >= static_cast<int>(enough));

        auto store = SqliteStore::open(folder.file(), {});
        REQUIRE(store);
        const auto there = [&](int batch, int i) {
            std::vector<Operation> asked(1);
            Get get;
            get.id = std::to_string(round) + "-" + std::to_string(batch) + "-" + std::to_string(i);
            asked[0] = get;
            REQUIRE((*store)->apply(asked, 2000));
            return std::get<Get>(asked[0]).answer.found;
        };
        for (int batch = 0; batch <= last; ++batch)
            for (int i = 0; i < 5; ++i) REQUIRE(there(batch, i));
        for (int i = 1; i < 5; ++i) CHECK(there(last + 1, i) == there(last + 1, 0));
        CHECK_FALSE(there(last + 2, 0));
    }
}
