// Jobs on the real server when its configuration changes: queues that go and come back, and another store.
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using nlohmann::json;

namespace {

constexpr const char* jobs_and_metrics =
    "[route jobs]\npath = /jobs/\njobs = on\nallow = all\n[route metrics]\npath = /metrics\nmetrics = on\n";

/// A place for stores and for what a script says.
struct Site {
    explicit Site(const std::string& script) {
        for (const char* name : {"out", "store"}) {
            ::mkdir(folder.path(name).c_str(), 0777);
            ::chmod(folder.path(name).c_str(), 0777);
        }
        const auto path =
            folder.write("job.sh", "#!/bin/sh\nout=" + folder.path("out") +
                                       "\nprintf 'Content-Type: text/plain\\n\\n'\n" + script + "\n");
        ::chmod(path.c_str(), 0755);
    }
    /// With routes /NAME to those queues.
    [[nodiscard]] Setup setup(const std::vector<std::string>& queues, const std::string& queue = "",
                              const std::string& store = "url = sqlite:@folder@/store/jobs.db\n") const {
        std::string routes = std::string(jobs_and_metrics) + "[store]\n" + store +
                             "[pool p]\nrun = cgi @folder@/job.sh\nsize = 2\n";
        for (const auto& name : queues)
            routes += "[route " + name + "]\npath = /" + name + "\nenqueue = " + name + "\n[queue " + name +
                      "]\npool = p\n" + queue;
        return {.routes = routes};
    }
    [[nodiscard]] std::string said(const std::string& name) const {
        return contents(folder.path("out/" + name));
    }
    TemporaryFolder folder;
};

/// No worker of before takes a connection any more.
void reload(const Server& server) {
    const auto ran = server.command({"-s", "reload"});
    CAPTURE(ran.output, ran.errors);
    REQUIRE(ran.status == 0);
    eventually("workers of before drain", [&] {
        const auto workers = json::parse(server.command({"status", "--json"}).output)["workers"];
        std::uint32_t newest = 0;
        for (const auto& worker : workers)
            newest = std::max(newest, worker["generation"].get<std::uint32_t>());
        return std::all_of(workers.begin(), workers.end(), [&](const json& worker) {
            const auto pid = worker["pid"].get<pid_t>();
            return pid == 0 || worker["generation"] == newest ||
                   contains(server.log(), "[" + std::to_string(pid) + "] draining connections=");
        });
    });
}

/// Its configuration, where every `from` is `to`; `from` is there.
void reload_with(const Server& server, const TemporaryFolder& folder, const std::string& from,
                 const std::string& to) {
    auto text = contents(server.config());
    REQUIRE(contains(text, from));
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    folder.write(server.config().substr(server.config().rfind('/') + 1), text);
    reload(server);
}

std::string enqueue(const Server& server, const std::string& path, const std::string& body) {
    const auto response = server.ask(post(path, body));
    CAPTURE(response.head, response.body, server.log());
    REQUIRE(response.status == 202);
    return json::parse(response.body)["id"].get<std::string>();
}

json job_of(const Server& server, const std::string& id) {
    const auto response = server.get("/jobs/" + id);
    return response.status == 200 ? json::parse(response.body) : json{{"state", "unknown"}};
}

json until(const Server& server, const std::string& id, const std::string& state) {
    json job;
    eventually("job " + id + " is " + state, [&] {
        job = job_of(server, id);
        return job["state"] == state;
    });
    return job;
}

void wait_for_one_keeper(const Server& server) {
    eventually("there is one keeper", [&] {
        return json::parse(server.command({"status", "--json"}).output)["keepers"].size() == 1;
    });
}

}  // namespace

TEST_CASE("jobs of a queue that is taken away stay, are told of, and run once it is back",
          "[integration][jobs]") {
    const Site site("cat");
    const Server server(site.folder, site.setup({"kept", "taken"}));
    CHECK(server.ask(post("/jobs/queues/taken/pause", "")).status == 200);
    const auto id = enqueue(server, "/taken", "x");
    const auto before = contents(server.config());
    const auto at = before.find("[route taken]");
    reload_with(server, site.folder, before.substr(at, before.find("pool = p\n", at) + 9 - at), "");

    eventually("it is said", [&] {
        return contains(server.log(), "not configured stay, and run once it is again queue=taken jobs=1");
    });
    CHECK(job_of(server, id)["state"] == "ready");
    eventually("metrics tell of it",
               [&] { return contains(server.get("/metrics").body, "reeve_jobs_unconfigured 1\n"); });
    const auto stats = json::parse(server.get("/jobs/stats").body);
    for (const auto& queue : stats["queues"]) CHECK(queue["configured"] == (queue["name"] == "kept"));
    until(server, enqueue(server, "/kept", "y"), "done");
    CHECK(server.ask(post("/jobs/queues/taken/resume", "")).status == 404);
    CHECK(server.ask(post("/jobs/queues/never/purge", "")).status == 404);

    site.folder.write(server.config().substr(server.config().rfind('/') + 1), before);
    reload(server);
    CHECK(server.ask(post("/jobs/queues/taken/resume", "")).status == 200);
    until(server, id, "done");
    eventually("and of its end",
               [&] { return contains(server.get("/metrics").body, "reeve_jobs_unconfigured 0\n"); });
}

TEST_CASE("jobs of a queue that is not configured can be purged", "[integration][jobs]") {
    const Site site("cat");
    const Server server(site.folder, site.setup({"kept", "taken"}));
    CHECK(server.ask(post("/jobs/queues/taken/pause", "")).status == 200);
    const auto id = enqueue(server, "/taken", "x");
    const auto text = contents(server.config());
    const auto at = text.find("[route taken]");
    reload_with(server, site.folder, text.substr(at, text.find("pool = p\n", at) + 9 - at), "");
    const auto purged = server.ask(post("/jobs/queues/taken/purge", ""));
    CHECK(purged.status == 200);
    CHECK(json::parse(purged.body)["purged"] == 1);
    CHECK(job_of(server, id)["state"] == "unknown");
}

TEST_CASE("with another store what runs ends in the one it came from, and what waits there runs later",
          "[integration][jobs]") {
    const Site site("read what\necho $what >> $out/log\nwhile ! [ -e $out/go ]; do sleep 0.01; done\n");
    auto setup = site.setup({"q"}, "concurrency = 1\n");
    const Server server(site.folder, setup);
    const auto running = enqueue(server, "/q", "running\n");
    eventually("it runs", [&] { return site.said("log") == "running\n"; });
    const auto waiting = enqueue(server, "/q", "waiting\n");
    reload_with(server, site.folder, "store/jobs.db", "store/other.db");

    const auto other = enqueue(server, "/q", "other\n");
    CHECK(job_of(server, running)["state"] == "unknown");
    CHECK(job_of(server, waiting)["state"] == "unknown");
    CHECK(contains(server.log(), "jobs stay in a store that is not configured any more"));
    site.folder.write("out/go", "");
    until(server, other, "done");
    wait_for_one_keeper(server);
    CHECK(site.said("log") == "running\nother\n");

    reload_with(server, site.folder, "store/other.db", "store/jobs.db");
    wait_for_one_keeper(server);
    CHECK(until(server, waiting, "done")["attempts"] == 1);
    const auto ended = job_of(server, running);
    CHECK(ended["state"] == "done");
    CHECK(ended["attempts"] == 1);
    CHECK(ended["history"].size() == 1);
    CHECK(site.said("log") == "running\nother\nwaiting\n");
}

TEST_CASE("back to a store before what runs there is over: it is handed over, and runs once",
          "[integration][jobs]") {
    const Site site("read what\necho $what >> $out/log\nwhile ! [ -e $out/go ]; do sleep 0.01; done\n");
    const Server server(site.folder, site.setup({"q"}));
    const auto running = enqueue(server, "/q", "running\n");
    eventually("it runs", [&] { return site.said("log") == "running\n"; });
    reload_with(server, site.folder, "store/jobs.db", "store/other.db");
    reload_with(server, site.folder, "store/other.db", "store/jobs.db");
    eventually("it is known", [&] { return job_of(server, running)["state"] == "running"; });
    site.folder.write("out/go", "");
    CHECK(until(server, running, "done")["attempts"] == 1);
    CHECK(site.said("log") == "running\n");
}

TEST_CASE("the largest body there may be is a job, and so large a result is read", "[integration][jobs]") {
    const Site site("cat");
    const Server server(site.folder, site.setup({"q"}, "job_size_max = 64m\nresult_max = 64m\ntimeout = 5m\n",
                                                "url = sqlite:@folder@/store/jobs.db\ntimeout = 60s\n"));
    const std::string body(64u << 20, 'x');
    const auto id = enqueue(server, "/q", body);
    until(server, id, "done");
    const auto result = server.get("/jobs/" + id + "/result");
    CHECK(result.status == 200);
    CHECK(result.body.size() == body.size());
    CHECK_FALSE(result.has("Job-Result-Cut"));
}

TEST_CASE("a result that is too long is cut off, and its job is done", "[integration][jobs]") {
    const Site site("cat");
    const Server server(site.folder, site.setup({"q"}, "result_max = 10\n"));
    const auto id = enqueue(server, "/q", std::string(300'000, 'x'));
    const auto job = until(server, id, "done");
    CHECK(job["result"]["size"] == 10);
    CHECK(job["result"]["cut"] == true);
    const auto result = server.get("/jobs/" + id + "/result");
    CHECK(result.body == "xxxxxxxxxx");
    CHECK(result.field("Job-Result-Cut") == "true");
    CHECK_FALSE(job_of(server, id)["history"][0].contains("error"));
}
