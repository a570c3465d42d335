// `reeve jobs` against the real server, over the death of its keeper, and where there is none.
#include <signal.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using nlohmann::json;

namespace {

/// A server whose queue `q` is done by a script that says what it was told.
struct Place {
    explicit Place(const std::string& queue = "", const std::string& script = "cat") {
        const auto path =
            folder.write("job.sh", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n" + script + "\n");
        ::chmod(path.c_str(), 0755);
        ::mkdir(folder.path("store").c_str(), 0777);
        ::chmod(folder.path("store").c_str(), 0777);
        setup = {.routes =
                     "[route jobs]\npath = /jobs/\njobs = on\nallow = all\n[store]\nurl = "
                     "sqlite:@folder@/store/jobs.db\n"
                     "[pool p]\nrun = cgi @folder@/job.sh\nsize = 2\n[queue q]\npool = p\n" +
                     queue};
    }
    TemporaryFolder folder;
    Setup setup;
};

Ran jobs(const Server& server, std::vector<std::string> words) {
    words.insert(words.begin(), "jobs");
    return server.command(words);
}

std::string said(const Server& server, const std::vector<std::string>& words) {
    const auto ran = jobs(server, words);
    CAPTURE(words, ran.errors, server.log());
    REQUIRE(ran.status == 0);
    CHECK(ran.errors.empty());
    return ran.output;
}

/// With `body` on its standard input.
Ran add(const Server& server, const std::string& body, const std::string& options = "") {
    return run(
        {"sh", "-c",
         "printf '%s' '" + body + "' | " + reeve() + " -c " + server.config() + " jobs add q " + options});
}

std::string added(const Server& server, const std::string& body, const std::string& options = "") {
    const auto ran = add(server, body, options);
    CAPTURE(ran.errors);
    REQUIRE(ran.status == 0);
    REQUIRE(ran.output.size() == 37);
    return ran.output.substr(0, 36);
}

std::string state_of(const Server& server, const std::string& id) {
    return json::parse(said(server, {"show", id, "--json"}))["state"].get<std::string>();
}

void until(const Server& server, const std::string& id, const std::string& state) {
    eventually("it is " + state, [&] { return state_of(server, id) == state; });
}

pid_t keeper_of(const Server& server) {
    const auto status = json::parse(server.command({"status", "--json"}).output);
    return status["keepers"][0]["pid"].get<pid_t>();
}

}  // namespace

TEST_CASE("a job is added, followed to its result, and purged from the command line",
          "[integration][jobs][command]") {
    const Place place;
    const Server server(place.folder, place.setup);
    const auto id = added(server, "hello", "--type text/plain");
    until(server, id, "done");
    CHECK(said(server, {"show", id, "--result"}) == "hello");
    CHECK(contains(said(server, {"show", id}), "1 of 10"));
    CHECK(server.get("/jobs/" + id).status == 200);
    const auto file = place.folder.write("body", "from a file");
    const auto second = said(server, {"add", "q", file, "--delay", "1h"}).substr(0, 36);
    CHECK(state_of(server, second) == "scheduled");
    CHECK(said(server, {"ls", "--ids"}) == second + "\n" + id + "\n");
    CHECK(said(server, {"ls", "--ids", "--state", "done", "--queue", "q"}) == id + "\n");
    CHECK(said(server, {"retry", second}) == second + "  ready\n");
    until(server, second, "done");
    CHECK(said(server, {"show", second, "--result"}) == "from a file");
    CHECK(said(server, {"purge", "q", "--state", "done"}) == "q  2 purged\n");
    CHECK(jobs(server, {"show", id}).status == 1);
    CHECK(contains(server.log(), "control command received command=\"jobs purge\""));
    CHECK_FALSE(contains(server.log(), "\"jobs ls\""));
}

TEST_CASE("queues are paused and jobs cancelled from the command line, also what runs",
          "[integration][jobs][command]") {
    const Place place("", "cat >/dev/null; sleep 600");
    const Server server(place.folder, place.setup);
    const auto running = added(server, "x");
    until(server, running, "running");
    CHECK(said(server, {"pause", "q"}) == "q  paused\n");
    const auto waiting = added(server, "x");
    CHECK(said(server, {"cancel", waiting, running}) ==
          waiting + "  cancelled\n" + running + "  cancelling\n");
    until(server, running, "cancelled");
    const auto stats = json::parse(said(server, {"stats", "--json"}))["queues"];
    REQUIRE(stats.size() == 1);
    CHECK(stats[0]["paused"] == true);
    CHECK(stats[0]["cancelled"] == 2);
    CHECK(contains(said(server, {"stats"}), "paused"));
    CHECK(said(server, {"resume", "q"}) == "q  open\n");
}

TEST_CASE("a keeper that dies is waited for, and one that is silent is an error in time",
          "[integration][jobs][command]") {
    const Place place("job_size_max = 2k\n");
    const Server server(place.folder, place.setup);
    const pid_t first = keeper_of(server);
    REQUIRE(::kill(first, SIGKILL) == 0);
    const auto id = added(server, "x");
    until(server, id, "done");
    const pid_t keeper = keeper_of(server);
    CHECK(keeper != first);
    freeze(keeper);
    const auto ran = add(server, "x", "--timeout 200ms");
    const auto list = jobs(server, {"ls", "--timeout", "200ms"});
    const auto status = server.command({"status"});
    ::kill(keeper, SIGCONT);
    CHECK(ran.status == 1);
    CHECK(ran.output.empty());
    CHECK(ran.errors == "reeve: not known to be stored: the keeper did not answer in time\n");
    CHECK(list.status == 1);
    CHECK(status.status == 0);
    const auto large = add(server, std::string(2049, 'x'));
    CHECK(large.status == 1);
    CHECK(contains(large.errors, "longer than the queue's job_size_max, 2k"));
    CHECK(server.command({"-s", "reload"}).status == 0);
    (void)added(server, "after a reload");
}

TEST_CASE("without a queue, a master or a known word `reeve jobs` says so", "[integration][jobs][command]") {
    const TemporaryFolder folder;
    Server server(folder);
    const auto none = jobs(server, {"ls"});
    CHECK(none.status == 1);
    CHECK(none.errors == "reeve: no jobs are kept: there is no [queue]\n");
    CHECK(jobs(server, {"shred"}).status == 2);
    CHECK(jobs(server, {"show", "nonsense"}).status == 2);
    CHECK(jobs(server, {"-h"}).status == 0);
    CHECK(contains(server.command({"-h"}).output, "jobs"));
    server.stop();
    CHECK(jobs(server, {"ls"}).status == 1);
}

TEST_CASE("while nothing can be stored the server is ready but degraded, and says why, until it can again",
          "[integration][jobs][command][degraded]") {
    Place place;
    place.setup.routes +=
        "[route in]\npath = /in\nenqueue = q\n[route ready]\npath = /ready\nhealth = ready\n"
        "[route live]\npath = /live\nhealth = live\n[route metrics]\npath = /metrics\nmetrics = on\n"
        "[route status]\npath = = /status\nstatus = on\n";
    place.setup.routes.replace(place.setup.routes.find("[store]\n"), 8, "[store]\ntimeout = 300ms\n");
    const Server server(place.folder, place.setup);
    CHECK(server.get("/ready").body == "ready\n");
    CHECK(json::parse(server.command({"status", "--json"}).output)["jobs"]["able"] == true);
    const auto id = added(server, "x");
    const auto well = server.command({"status"}).output;
    CHECK(contains(well, "jobs can be stored\nstore of jobs  keeper " + std::to_string(keeper_of(server))));
    const auto shown = json::parse(server.get("/status").body)["jobs"];
    CHECK(shown["able"] == true);
    CHECK(shown["keeper_pid"] == keeper_of(server));
    CHECK(shown["commits"] >= 1);
    CHECK(shown["wal_bytes"] > 0);
    const auto store = place.folder.path("store");
    REQUIRE(::rename(store.c_str(), (store + ".away").c_str()) == 0);
    place.folder.write("store", "no folder");
    REQUIRE(::kill(keeper_of(server), SIGKILL) == 0);
    eventually("it is degraded", [&] { return server.get("/ready").body.starts_with("degraded\n"); });
    const auto ready = server.get("/ready");
    CHECK(ready.status == 200);
    CHECK(contains(ready.body, "jobs cannot be stored since 20"));
    CHECK(server.get("/live").body == "live\n");
    CHECK(contains(server.get("/metrics").body, "reeve_jobs_store_up 0\n"));
    CHECK_FALSE(contains(server.get("/metrics").body, "reeve_jobs_store_unable_seconds 0\n"));
    CHECK(server.ask(post("/in", "x")).status == 503);
    CHECK(contains(server.command({"status"}).output, "jobs cannot be stored, for "));
    CHECK(json::parse(server.command({"status", "--json"}).output)["jobs"]["able"] == false);
    const auto unable = json::parse(server.get("/status").body)["jobs"];
    CHECK(unable["able"] == false);
    CHECK(unable["unable_seconds"] > 0);
    CHECK_FALSE(unable["why"] == "");
    const auto list = jobs(server, {"ls", "--timeout", "200ms"});
    CHECK(list.status == 1);
    CHECK(contains(list.errors, "the keeper did not answer in time; the store was unable before: "));
    REQUIRE(::unlink(store.c_str()) == 0);
    REQUIRE(::rename((store + ".away").c_str(), store.c_str()) == 0);
    eventually("it is ready again", [&] { return server.get("/ready").body == "ready\n"; });
    CHECK(contains(server.get("/metrics").body, "reeve_jobs_store_up 1\n"));
    until(server, id, "done");
}
