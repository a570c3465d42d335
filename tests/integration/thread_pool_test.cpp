// Pools of threads on the real server: files that a thread looks for, and what happens when threads stand
// still.
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct Site {
    Site() {
        folder.write("hello.txt", "hello");
        folder.write("large.txt", std::string(300'000, 'x'));
    }
    [[nodiscard]] static Setup setup(const std::string& pool,
                                     const std::string& execution = "workers = 1\n") {
        return {.execution = execution + "open_file_cache_valid = 1m\n",
                .routes =
                    "[route files]\npath = /\nfiles = @folder@\nopen_pool = disk\nautoindex = html\n"
                    "error_page = 404 /hello.txt\n"
                    "[route text]\npath = /text\nrespond = 200 \"text\"\n"
                    "[route status]\npath = /status\nstatus = on\n"
                    "[route metrics]\npath = /metrics\nmetrics = on\n"
                    "[pool disk]\nkind = thread\n" +
                    pool};
    }
    TemporaryFolder folder;
};

json pool_of(const Server& server) {
    const auto status = json::parse(server.command({"status", "--json"}).output);
    return status["pools"].empty() ? json() : status["pools"].back();
}

/// Those of the pool, in all workers.
std::vector<pid_t> threads_of(const Server& server) {
    std::vector<pid_t> all;
    eventually("a thread has its name", [&] {  // it gives it to itself
        for (const auto& worker : server.status().workers)
            for (const auto& thread :
                 std::filesystem::directory_iterator("/proc/" + std::to_string(worker.pid) + "/task"))
                if (contents(thread.path().string() + "/comm") == "pool disk\n")
                    all.push_back(std::stoi(thread.path().filename().string()));
        return !all.empty();
    });
    return all;
}

/// Threads that do not move while this is there, as if a disk did not answer.
class Stopped {
 public:
    explicit Stopped(std::vector<pid_t> threads) : threads_(std::move(threads)) {
        for (const pid_t thread : threads_) {
            REQUIRE(::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) == 0);
            REQUIRE(::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0);
            int status = 0;
            REQUIRE(::waitpid(thread, &status, __WALL) == thread);
        }
    }
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped() {
        for (const pid_t thread : threads_)
            if (::ptrace(PTRACE_DETACH, thread, nullptr, nullptr) != 0)
                ::waitpid(thread, nullptr, __WALL);  // it has ended, and its process waits for us
    }

 private:
    std::vector<pid_t> threads_;
};

const std::string ask_hello = "GET /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

}  // namespace

TEST_CASE("files are served as ever when threads look for them", "[integration][threadpool]") {
    const Site site;
    const Server server(site.folder, Site::setup("size = 2\n", "workers = 2\n"));
    for (int round = 0; round < 3; ++round) {
        CHECK(server.get("/hello.txt").body == "hello");
        CHECK(server.get("/large.txt").body.size() == 300'000);
    }
    const auto missing = server.get("/none");
    CHECK(missing.status == 404);
    CHECK(missing.body == "hello");  // the page is a file too
    CHECK(server.get("/").status == 200);
    CHECK(server.get("/hello.txt", "If-None-Match: " + server.get("/hello.txt").field("ETag") + "\r\n")
              .status == 304);
    Client head = server.connect();
    head.send("HEAD /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    CHECK(head.response(Body::none).status == 200);
    CHECK(
        server.ask("POST /hello.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab")
            .status == 405);
    const auto pool = pool_of(server);
    CHECK(pool["kind"] == "thread");
    CHECK(pool["threads"] >= 4);
    CHECK(pool["tasks_total"] >= 4);
    const auto page = json::parse(server.get("/status", "Accept: application/json\r\n").body);
    CHECK(page["pools"][0]["kind"] == "thread");
    CHECK(page["pools"][0]["members"]["idle"] >= 4);
    CHECK(contains(server.get("/metrics").body, "reeve_thread_pool_threads{pool=\"disk\"} "));
}

TEST_CASE("requests in one packet are answered in order, whoever looks for their files",
          "[integration][threadpool]") {
    const Site site;
    const Server server(site.folder, Site::setup(""));
    Client client = server.connect();
    client.send("GET /hello.txt HTTP/1.1\r\nHost: h\r\n\r\nGET /text HTTP/1.1\r\nHost: h\r\n\r\n" +
                ask_hello);
    CHECK(client.response().body == "hello");
    CHECK(client.response().body == "text");
    CHECK(client.response().body == "hello");
}

TEST_CASE("while no thread moves the loop does, and one too many is told at once",
          "[integration][threadpool][concurrent][one-process][one-loop]") {
    const Site site;
    const Server server(site.folder, Site::setup("size = 1\nqueue = 1\nqueue_timeout = 5m\n"));
    CHECK(server.get("/large.txt").status == 200);  // from here on it is in the cache
    Client first = server.connect(), same = server.connect(), second = server.connect();
    {
        const Stopped stopped(threads_of(server));
        first.send(ask_hello);
        same.send(ask_hello);  // the same path is looked for once
        second.send("GET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        eventually("two wait", [&] { return pool_of(server)["waiting"] == 2; });
        CHECK(server.get("/text").body == "text");
        CHECK(server.get("/large.txt").status == 200);
        const auto full = server.get("/one-too-many");
        CHECK(full.status == 503);
        CHECK(full.field("Retry-After") == "1");
    }
    CHECK(first.response().body == "hello");
    CHECK(same.response().body == "hello");
    CHECK(second.response().status == 404);
    CHECK(pool_of(server)["refused_full_total"] == 1);
    CHECK(pool_of(server)["refused_late_total"] == 0);
}

TEST_CASE("who waits for a thread that does not move is answered in time",
          "[integration][threadpool][concurrent][one-process]") {
    const Site site;
    const Server server(site.folder, Site::setup("size = 1\nqueue_timeout = 300ms\n"));
    {
        const Stopped stopped(threads_of(server));
        Client first = server.connect(), same = server.connect(), second = server.connect();
        first.send(ask_hello);
        same.send(ask_hello);
        second.send("GET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        for (Client* const client : {&first, &same, &second}) {
            const auto late = client->response();
            CHECK(late.status == 503);
            CHECK(late.field("Retry-After") == "1");
        }
        eventually("all are counted", [&] { return pool_of(server)["refused_late_total"] >= 2; });
    }
    CHECK(server.get("/hello.txt").body == "hello");
}

TEST_CASE("a file that its client waits for no longer is not looked for", "[integration][threadpool]") {
    const Site site;
    const Server server(site.folder, Site::setup("size = 1\n"));
    {
        const Stopped stopped(threads_of(server));
        {
            Client gone = server.connect();
            gone.send(ask_hello);
            eventually("it waits", [&] { return pool_of(server)["waiting"] == 1; });
        }
        eventually("it is taken back", [&] { return pool_of(server)["left_total"] == 1; });
        CHECK(pool_of(server)["waiting"] == 0);
    }
    CHECK(server.get("/hello.txt").body == "hello");
    CHECK(pool_of(server)["tasks_total"] == 1);
}

TEST_CASE("a drain waits for files that are being looked for", "[integration][threadpool]") {
    const Site site;
    Server server(site.folder, Site::setup("size = 1\n"));
    Client client = server.connect();
    {
        const Stopped stopped(threads_of(server));
        client.send(ask_hello);
        eventually("it waits", [&] { return pool_of(server)["waiting"] == 1; });
        server.signal(SIGQUIT);
        eventually("the worker drains", [&] { return contains(server.log(), "draining connections="); });
    }
    CHECK(client.response().body == "hello");
    CHECK(server.wait() == 0);
}

TEST_CASE("a worker leaves also when a thread of a pool does not move", "[integration][threadpool]") {
    const Site site;
    Server server(site.folder, Site::setup("size = 1\n"));
    auto stopped = std::make_optional<Stopped>(threads_of(server));
    Client client = server.connect();
    client.send(ask_hello);
    eventually("it waits", [&] { return pool_of(server)["waiting"] == 1; });
    server.signal(SIGTERM);
    eventually("the thread is left behind",
               [&] { return contains(server.log(), "threads are left behind pool=disk threads=1"); });
    stopped.reset();
    CHECK(server.wait() == 0);
}
