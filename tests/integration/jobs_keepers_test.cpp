// Jobs while keepers follow one another on the real server: reloads, stops, deaths of a keeper and of the
// master.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using nlohmann::json;

namespace {

/// A server whose jobs write a line and wait for a file, and what they have written.
struct Place {
    explicit Place(const std::string& more = "") {
        for (const char* name : {"out", "store"}) {
            ::mkdir(folder.path(name).c_str(), 0777);
            ::chmod(folder.path(name).c_str(), 0777);
        }
        const auto script = folder.write(
            "job.sh", "#!/bin/sh\nout=" + folder.path("out") + "\necho \"$JOB_ATTEMPT $$\" >> $out/log\n" +
                          more + "\nwhile [ ! -e $out/go ]; do sleep 0.05; done\necho over >> $out/log\n");
        ::chmod(script.c_str(), 0755);
    }
    [[nodiscard]] static Setup setup(const std::string& reeve = "", const std::string& queue = "") {
        return {
            .reeve = reeve,
            .routes =
                "[route in]\npath = /in\nenqueue = q\n[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
                "[store]\nurl = sqlite:@folder@/store/jobs.db\n"
                "[pool p]\nrun = cgi @folder@/job.sh\nsize = 2\n[queue q]\npool = p\n" +
                queue};
    }
    [[nodiscard]] std::string said() const { return contents(folder.path("out/log")); }
    [[nodiscard]] std::size_t begun() const { return count(said(), "\n") - count(said(), "over\n"); }
    void go() const { folder.write("out/go", ""); }
    /// That many jobs have begun.
    void await(std::size_t number) const {
        eventually("jobs run", [&] { return begun() == number; });
    }
    TemporaryFolder folder;
};

std::string enqueue(const Server& server) {
    const auto response = server.ask(post("/in", "work"));
    CAPTURE(response.head, response.body);
    REQUIRE(response.status == 202);
    return json::parse(response.body)["id"].get<std::string>();
}

json job_of(const Server& server, const std::string& id) {
    const auto response = server.get("/jobs/" + id);
    return response.status == 200 ? json::parse(response.body) : json();
}

json until(const Server& server, const std::string& id, const std::string& state) {
    json job;
    eventually("job " + id + " is " + state, [&] {
        job = job_of(server, id);
        return !job.is_null() && job["state"] == state;
    });
    return job;
}

std::vector<pid_t> processes(const Server& server, const std::string& what) {
    auto all = server.processes();
    std::erase_if(all, [&](pid_t pid) {
        return !contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: " + what);
    });
    return all;
}

void reload(const Server& server) { REQUIRE(server.command({"-s", "reload"}).status == 0); }

/// A request that a worker has begun to read, and that keeps it: "work" is to follow.
Client half_a_job(const Server& server) {
    Client client = server.connect();
    client.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    REQUIRE(client.response().status == 100);
    return client;
}

}  // namespace

TEST_CASE("a reload and then a graceful stop: what the older keeper runs is waited for, and stored",
          "[integration][jobs]") {
    const Place place;
    const auto setup = Place::setup();
    std::string id;
    {
        Server server(place.folder, setup);
        id = enqueue(server);
        place.await(1);
        reload(server);
        server.signal(SIGQUIT);
        eventually("the workers have left", [&] { return processes(server, "worker").empty(); });
        place.go();
        CHECK(server.wait() == 0);
        CHECK_FALSE(contains(server.log(), "not stored"));
    }
    const Server server(place.folder, setup);
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 1);
    CHECK(place.begun() == 1);
}

TEST_CASE("a reload and then a fast stop: what the older keeper runs is given back, without an attempt",
          "[integration][jobs]") {
    const Place place;
    const auto setup = Place::setup();
    std::string id;
    {
        Server server(place.folder, setup);
        id = enqueue(server);
        place.await(1);
        reload(server);
        CHECK(server.stop() == 0);
        CHECK_FALSE(contains(server.log(), "not stored"));
    }
    place.go();
    const Server server(place.folder, setup);
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 1);
    CHECK(place.begun() == 2);
}

TEST_CASE("a job that an older keeper runs can be cancelled after a reload", "[integration][jobs]") {
    const Place place;
    const Server server(place.folder, Place::setup());
    const auto id = enqueue(server);
    place.await(1);
    const pid_t program = std::atoi(place.said().substr(2).c_str());
    reload(server);
    CHECK(server.ask("DELETE /jobs/" + id + " HTTP/1.1\r\nHost: x\r\n\r\n").status == 202);
    CHECK(until(server, id, "cancelled")["attempts"] == 1);
    CHECK(::kill(program, 0) != 0);
}

TEST_CASE("with a concurrency of one no two jobs run at once, over reloads too", "[integration][jobs]") {
    const Place place;
    const Server server(place.folder, Place::setup("shutdown_timeout = 500ms\n", "concurrency = 1\n"));
    const auto first = enqueue(server), second = enqueue(server);
    place.await(1);
    const pid_t program = std::atoi(place.said().substr(2).c_str());
    reload(server);  // and at the end of its time it is given back
    place.await(2);
    CHECK(::kill(program, 0) != 0);
    place.go();
    CHECK(until(server, first, "done")["attempts"] == 1);
    CHECK(until(server, second, "done")["attempts"] == 1);
}

TEST_CASE("a keeper that has let the store go is not replaced when it dies, and its jobs run again",
          "[integration][jobs]") {
    const Place place("[ $JOB_ATTEMPT = 1 ] || { sleep 0.5; exit 0; }");
    const Server server(place.folder, Place::setup());
    const auto id = enqueue(server);
    place.await(1);
    auto kept = half_a_job(server);  // workers of the first generation stay
    const auto keepers = processes(server, "keeper");
    REQUIRE(keepers.size() == 1);
    reload(server);
    eventually("the store goes on", [&] { return job_of(server, id)["state"] == "running"; });
    REQUIRE(::kill(keepers[0], SIGKILL) == 0);
    CHECK(until(server, id, "done")["attempts"] == 2);
    kept.send("work");
    CHECK(kept.response().status == 202);
    eventually("the first generation has left",
               [&] { return contains(server.log(), "generation has left generation=1"); });
    CHECK(count(server.log(), "keeper started generation=1") == 1);
}

TEST_CASE("when the master dies, a job that a worker is told of yet is stored, and then all leave",
          "[integration][jobs]") {
    const Place place;
    const auto setup = Place::setup();
    place.go();
    std::string id;
    {
        Server server(place.folder, setup);
        auto kept = half_a_job(server);
        server.signal(SIGKILL);
        CHECK(server.wait() == 128 + SIGKILL);
        eventually("the keeper knows", [&] {
            return contains(server.log(), "keeper: the master is gone") ||
                   count(server.log(), "the master is gone") >= 2;
        });
        kept.send("work");
        const auto response = kept.response();
        CAPTURE(response.body, server.log());
        REQUIRE(response.status == 202);
        id = json::parse(response.body)["id"].get<std::string>();
        kept.close();
        eventually("all have left", [&] { return server.processes().empty(); });
    }
    const Server server(place.folder, setup);
    until(server, id, "done");
}

TEST_CASE("what was promised before everything was killed is done after the next start",
          "[integration][jobs]") {
    constexpr int rounds = 3, clients_at_once = 16, jobs_each = 8, places = 2;
    const Place place;
    place.go();
    const auto setup = Place::setup();
    std::vector<std::string> promised;
    for (int round = 0; round < rounds; ++round) {
        Server server(place.folder, setup);
        std::vector<Client> clients;
        std::string some;
        for (int i = 0; i < jobs_each; ++i) some += post("/in", "work");
        const auto begun = place.begun();
        for (int i = 0; i < clients_at_once; ++i) {
            clients.push_back(server.connect());
            clients.back().send(some);
        }
        eventually("jobs run", [&] { return place.begun() > begun; });
        while (!server.processes().empty())
            for (const pid_t pid : server.processes()) ::kill(pid, SIGKILL);
        (void)server.wait();
        for (auto& client : clients)
            for (auto answer = client.response(); answer.status == 202; answer = client.response())
                if (const auto job = json::parse(answer.body, nullptr, false); job.contains("id"))
                    promised.push_back(job["id"].get<std::string>());
    }
    CAPTURE(promised.size());
    CHECK_FALSE(promised.empty());
    const Server server(place.folder, setup);
    for (const auto& id : promised) until(server, id, "done");
    eventually("all that is stored is done", [&] {
        const auto stats = json::parse(server.get("/jobs/stats").body)["queues"][0];
        return stats["ready"] == 0 && stats["running"] == 0;
    });
    const auto done = json::parse(server.get("/jobs/stats").body)["queues"][0]["done"].get<std::size_t>();
    CHECK(done >= promised.size());
    CHECK(place.begun() <= done + rounds * places);  // only what ran at a kill ran again
}
