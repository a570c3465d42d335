// tests/worker/jobs_store.h: a store of jobs in a folder of its own, and short words for what is asked of it.
#pragma once

#include <catch2/catch.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/postgres_server.h"
#include "worker/jobs/postgres_store.h"
#include "worker/jobs/sqlite_store.h"

namespace jobs_store {

using namespace worker::jobs;

/// Deleted at the end.
class Folder {
 public:
    explicit Folder(const std::string& in = "/tmp") {
        std::string name = in + "/reeve-jobs-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string file(const std::string& name = "jobs.db") const { return path_ + "/" + name; }

 private:
    std::string path_;
};

/// The one of all tests.
inline PostgresServer& postgres() {
    static PostgresServer server;
    return server;
}

/// One that nobody has used.
inline const std::string& fresh_postgres() {
    static const std::string url = postgres().url();
    postgres().ask("SET client_min_messages = error; DROP SCHEMA IF EXISTS reeve CASCADE");
    return url;
}

/// The store, and the time as the test has it.
class World {
 public:
    explicit World(SqliteOptions options = {}, const std::string& in = "/tmp")
        : folder(in), opener_([this, options] { return SqliteStore::open(folder.file(), options); }) {
        open();
    }
    /// Of a PostgreSQL whose clock is that of the test, and whose owners are gone unless somebody says
    /// otherwise; without a URL it is a file.
    World(const std::string& url, const std::string& in)
        : folder(in), opener_([this, url]() -> ipc::Result<std::unique_ptr<Store>> {
              if (url.empty()) return SqliteStore::open(folder.file(), {});
              PostgresOptions options;
              options.own_clock = true;
              options.is_gone = [](const std::string&) { return true; };
              return PostgresStore::open(url, options);
          }) {
        open();
    }

    void open() {
        auto opened = opener_();
        if (!opened) FAIL(opened.error().text());
        store = std::move(*opened);
    }
    void reopen() {
        store.reset();
        open();
    }

    template <class One>
    ipc::Result<One> attempt(One one) {
        std::vector<Operation> batch;
        batch.emplace_back(std::move(one));
        if (auto applied = store->apply(batch, now); !applied) return tl::make_unexpected(applied.error());
        return std::get<One>(std::move(batch[0]));
    }
    template <class One>
    One ask(One one) {
        auto done = attempt(std::move(one));
        if (!done) FAIL(done.error().text());
        return std::move(*done);
    }

    [[nodiscard]] NewJob job(std::string id, std::string queue = "mail") const {
        NewJob made;
        made.id = std::move(id);
        made.queue = std::move(queue);
        made.content_type = "text/plain";
        made.body = "body of " + made.id;
        made.attempts = 10;
        return made;
    }
    Enqueue::Answer enqueue(NewJob wanted, Room room = {}) {
        Enqueue asked;
        asked.job = std::move(wanted);
        asked.room = room;
        return ask(std::move(asked)).answer;
    }
    Enqueue::Answer enqueue(const std::string& id) { return enqueue(job(id)); }
    Claim::Answer claim_answer(std::uint32_t count = 1, std::uint32_t key_concurrency = 0,
                               const std::string& queue = "mail") {
        Claim asked;
        asked.queue = queue;
        asked.owner = owner;
        asked.count = count;
        asked.key_concurrency = key_concurrency;
        return ask(std::move(asked)).answer;
    }
    std::vector<Claimed> claim(std::uint32_t count = 1, std::uint32_t key_concurrency = 0,
                               const std::string& queue = "mail") {
        return claim_answer(count, key_concurrency, queue).jobs;
    }
    /// There is one.
    Claimed claim_one() {
        auto got = claim();
        REQUIRE(got.size() == 1);
        return std::move(got[0]);
    }
    Finish::Answer finish(const Claimed& job, Ending ending, UnixMs again_at = 0,
                          const std::string& error = "") {
        Finish asked;
        asked.id = job.id;
        asked.fence = job.fence;
        asked.ending = ending;
        asked.again_at = again_at;
        asked.error = error;
        return ask(std::move(asked)).answer;
    }
    [[nodiscard]] View get(const std::string& id) {
        Get asked;
        asked.id = id;
        asked.with_result = true;
        auto answer = ask(std::move(asked)).answer;
        REQUIRE(answer.found);
        return std::move(answer.job);
    }
    [[nodiscard]] bool there(const std::string& id) {
        Get asked;
        asked.id = id;
        return ask(std::move(asked)).answer.found;
    }
    [[nodiscard]] Stats::Queue stats(const std::string& queue = "mail") {
        for (auto& one : ask(Stats{}).answer.queues)
            if (one.name == queue) return one;
        return {};
    }
    Cancel::Answer cancel(const std::string& id) {
        Cancel asked;
        asked.id = id;
        return ask(std::move(asked)).answer;
    }
    Retry::Answer retry(const std::string& id) {
        Retry asked;
        asked.id = id;
        return ask(std::move(asked)).answer;
    }

    Folder folder;
    std::unique_ptr<Store> store;
    UnixMs now = 1'000'000'000;
    std::string owner = "me";

 private:
    std::function<ipc::Result<std::unique_ptr<Store>>()> opener_;
};

enum class Engine { sqlite, postgres };

/// The test runs once with each engine.
inline Engine each_engine() { return GENERATE(Engine::sqlite, Engine::postgres); }

/// What every store does.
class AnyWorld : public World {
 public:
    explicit AnyWorld(Engine its = each_engine())
        : World(its == Engine::sqlite ? std::string() : fresh_postgres(), memory()), engine(its) {}
    const Engine engine;

 private:
    /// Nothing has to outlive the test.
    static std::string memory() { return std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp"; }
};

inline std::vector<std::string> ids(const std::vector<Claimed>& jobs) {
    std::vector<std::string> found;
    found.reserve(jobs.size());
    for (const auto& job : jobs) found.push_back(job.id);
    return found;
}
inline std::vector<std::string> ids(const std::vector<View>& jobs) {
    std::vector<std::string> found;
    found.reserve(jobs.size());
    for (const auto& job : jobs) found.push_back(job.id);
    return found;
}

using Names = std::vector<std::string>;

}  // namespace jobs_store
