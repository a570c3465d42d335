// What stands in for real work: it takes the time it says, where it says.
#include <signal.h>

#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using namespace std::chrono_literals;

namespace {

const std::string routes =
    "[route work]\npath = /work\nwork = cpu=20ms wait=30ms\n"
    "[route asked]\npath = /asked\nwork = none\nwork_query = on\n"
    "[route pooled]\npath = /pooled\nwork = cpu=20ms wait=30ms\nwork_pool = hands\n"
    "[route pooled-asked]\npath = /pooled-asked\nwork = none\nwork_pool = hands\nwork_query = on\n"
    "[route live]\npath = = /live\nhealth = live\n"
    "[route threaded]\npath = /threaded\nwork = cpu=20ms wait=30ms\nwork_pool = threads\n"
    "[route threaded-asked]\npath = /threaded-asked\nwork = none\nwork_pool = threads\nwork_query = on\n"
    "[pool hands]\nrun = work\nsize = 2\n"
    "[pool threads]\nkind = thread\nsize = 1\nsize_max = 1\nqueue = 1\ntimeout = 3s\n";

/// How long the answer took.
std::chrono::milliseconds time_of(const Server& server, const std::string& target, const std::string& body) {
    const auto begun = Clock::now();
    const auto response = server.get(target);
    CHECK(response.status == 200);
    CHECK(response.body == body);
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
}

/// The pid of one that has a task; 0: none.
pid_t busy_member(const Server& server) {
    const auto status = nlohmann::json::parse(server.command({"status", "--json"}).output);
    for (const auto& member : status["pools"][0]["members"])
        if (member["state"] == "busy") return member["pid"].get<pid_t>();
    return 0;
}

}  // namespace

TEST_CASE("work takes its time, where the request is or in a pool", "[integration][work]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes});
    for (const std::string target : {"/work", "/pooled", "/threaded", "/work?cpu=0&wait=0",
                                     "/pooled?cpu=0&wait=0", "/threaded?cpu=0&wait=0"}) {
        CAPTURE(target);
        CHECK(time_of(server, target, "worked cpu=20ms wait=30ms\n") >= 50ms);
    }
    CHECK(server.ask(post("/pooled", std::string(100'000, 'x'))).body == "worked cpu=20ms wait=30ms\n");
    CHECK(server.ask(post("/work", "12345")).body == "worked cpu=20ms wait=30ms\n");
    Client client = server.connect();
    client.send("HEAD /work HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client.response(Body::none).field("Content-Length") == "26");
}

TEST_CASE("a query says how much, where it may", "[integration][work]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes});
    for (const std::string target : {"/asked", "/pooled-asked", "/threaded-asked"}) {
        CAPTURE(target);
        CHECK(time_of(server, target + "?wait=40ms", "worked wait=40ms\n") >= 40ms);
        (void)time_of(server, target + "?wait=an+hour", "worked none\n");
    }
}

TEST_CASE("inline work stops its loop, and that of a pool does not", "[integration][work][knobs]") {
    const TemporaryFolder folder;
    const Server server(folder, {.execution = "model = event\nworkers = 1\n", .routes = routes});
    Client other = server.connect();
    const auto wait_beside = [&](const std::string& target) {
        Client busy = server.connect();
        other.send(get("/live"));  // so that both are known to its loop
        CHECK(other.response().status == 200);
        busy.send(get(target));
        eventually("it has begun", [&] {
            return contains(server.status().workers.at(0).in_flight, target) || busy_member(server) != 0;
        });
        const auto begun = Clock::now();
        other.send(get("/live"));
        CHECK(other.response().status == 200);
        const auto took = Clock::now() - begun;
        CHECK(busy.response().status == 200);
        return took;
    };
    CHECK(wait_beside("/asked?wait=2s") >= 500ms);
    CHECK(wait_beside("/pooled-asked?wait=2s") < 1500ms);
}

TEST_CASE("a member that dies at work costs its task alone", "[integration][work][pool]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes});
    Client client = server.connect();
    client.send(get("/pooled-asked?wait=30s"));
    eventually("a member is at work", [&] { return busy_member(server) != 0; });
    ::kill(busy_member(server), SIGKILL);
    CHECK(client.response().status == 502);
    CHECK(server.get("/pooled-asked").status == 200);
}

TEST_CASE("work that a pool of threads has no room for is refused, and so is what takes too long",
          "[integration][work][one-process][concurrent]") {
    const TemporaryFolder folder;
    const Server server(folder, {.execution = just_workers(1), .routes = routes});
    const auto waiting = [&] {
        const auto status = nlohmann::json::parse(server.command({"status", "--json"}).output);
        for (const auto& pool : status["pools"])
            if (pool["name"] == "threads") return pool["waiting"].get<int>() + pool["busy"].get<int>();
        return 0;
    };
    Client first = server.connect(), second = server.connect(), leaving = server.connect();
    first.send(get("/threaded-asked?wait=20s"));
    eventually("one is at work", [&] { return waiting() == 1; });
    leaving.send(get("/threaded-asked?wait=20s"));
    eventually("one waits", [&] { return waiting() == 2; });
    leaving.close();
    eventually("nobody waits", [&] { return waiting() == 1; });
    second.send(get("/threaded-asked"));
    eventually("another one waits", [&] { return waiting() == 2; });
    const auto refused = server.get("/threaded-asked");
    CHECK(refused.status == 503);
    CHECK(refused.field("Retry-After") == "1");
    CHECK(first.response().status == 504);
}
