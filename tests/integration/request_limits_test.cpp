// How often and how many at once, over all workers: `limit_rate`, `limit_conn`, and what is never shed.
#include <signal.h>

#include <algorithm>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

/// Answers of `count` requests, each on a connection of its own, which spread over the workers.
std::vector<int> ask(const Server& server, int count, const std::string& target,
                     const std::string& lines = "") {
    std::vector<int> statuses;
    for (int i = 0; i < count; ++i) statuses.push_back(server.get(target, lines).status);
    return statuses;
}

std::ptrdiff_t how_many(const std::vector<int>& statuses, int wanted) {
    return std::count(statuses.begin(), statuses.end(), wanted);
}

}  // namespace

TEST_CASE("a rate is kept over all workers together, and says when to come again", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.execution = "workers = 4\n",
                                 .routes = "[route hello]\npath = /\nrespond = 200 \"hello\"\n"
                                           "limit_rate = 5/h burst=4\n"});
    const auto statuses = ask(server, 12, "/");
    CHECK(how_many(statuses, 200) == 5);
    CHECK(how_many(statuses, 429) == 7);
    const Response refused = server.get("/");
    CHECK(refused.status == 429);
    const int wait = std::stoi(refused.field("Retry-After"));
    CHECK(wait > 600);
    CHECK(wait <= 720);
}

TEST_CASE("each key has a rate of its own", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = "[route hello]\npath = /\nrespond = 200 \"hello\"\n"
                                           "limit_rate = 2/h burst=1 key=$http_x_customer\n"});
    CHECK(how_many(ask(server, 4, "/", "X-Customer: a\r\n"), 200) == 2);
    CHECK(how_many(ask(server, 4, "/", "X-Customer: b\r\n"), 200) == 2);
    CHECK(how_many(ask(server, 4, "/"), 200) == 2);  // those who say nothing are one
}

TEST_CASE("rates outlive a reload", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = "[route hello]\npath = /\nrespond = 200 \"hello\"\n"
                                           "limit_rate = 3/h burst=2\n"});
    CHECK(how_many(ask(server, 3, "/"), 200) == 3);
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    CHECK(how_many(ask(server, 3, "/"), 429) == 3);
}

TEST_CASE("what is never shed is asked while everything else is refused", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = "[route hello]\npath = /\nrespond = 200 \"hello\"\n"
                                           "limit_rate = 1/h burst=0\n"
                                           "[route live]\npath = = /live\nhealth = live\n"
                                           "[route metrics]\npath = = /metrics\nmetrics = on\n"});
    CHECK(how_many(ask(server, 3, "/"), 429) == 2);
    CHECK(server.get("/live").status == 200);
    const Response metrics = server.get("/metrics");
    CHECK(metrics.status == 200);
    CHECK(metrics.body.find("reeve_limited_requests_total{route=\"hello\",limit=\"rate\"} 2\n") !=
          std::string::npos);
}

TEST_CASE("so many requests of a key run at once, and a killed worker's count no more",
          "[integration][limits][concurrent]") {
    const TemporaryFolder folder;
    folder.write("www/large", std::string(8 << 20, 'x'));
    const Server server(folder,
                        {.execution = "workers = 2\n",
                         .routes = "[route files]\npath = /\nfiles = @folder@/www\nlimit_conn = 2\n"});
    std::vector<Client> slow;
    for (int i = 0; i < 2; ++i) {
        slow.push_back(server.connect_slow());
        REQUIRE(slow.back().send(get("/large")));
        REQUIRE(slow.back().head().status == 200);
    }
    const Response refused = server.get("/large");
    CHECK(refused.status == 429);
    CHECK(refused.field("Retry-After") == "1");
    slow.front().close();
    eventually("a place is free", [&] { return server.get("/none").status == 404; });

    SECTION("and a worker that is killed takes its requests along") {
        for (const WorkerStatus& worker : server.status().workers) ::kill(worker.pid, SIGKILL);
        eventually("both are replaced", [&] {
            const Status status = server.status();
            return std::all_of(status.workers.begin(), status.workers.end(),
                               [](const WorkerStatus& worker) { return worker.state == "ready"; });
        });
        std::vector<Client> again;
        for (int i = 0; i < 2; ++i) {
            again.push_back(server.connect_slow());
            REQUIRE(again.back().send(get("/large")));
            CHECK(again.back().head().status == 200);
        }
        CHECK(server.get("/large").status == 429);
    }
}
