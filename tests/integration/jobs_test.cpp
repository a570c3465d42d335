// Jobs on the real server: what 202 promises, over deaths of the keeper and reloads, and what is refused.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using nlohmann::json;

namespace {

constexpr const char* routes =
    "[route in]\npath = /in\nenqueue = q\n[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
    "[route metrics]\npath = /metrics\nmetrics = on\n";

/// A queue whose jobs a script does. `queue`: further lines of it.
Setup jobs_setup(const TemporaryFolder& folder, const std::string& queue = "",
                 const std::string& script = "cat",
                 const std::string& store = "url = sqlite:@folder@/store/jobs.db\n") {
    const auto path =
        folder.write("job.sh", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n" + script + "\n");
    ::chmod(path.c_str(), 0755);
    ::mkdir(folder.path("store").c_str(), 0777);
    ::chmod(folder.path("store").c_str(), 0777);
    return {.routes = std::string(routes) + "[store]\n" + store +
                      "[pool p]\nrun = cgi @folder@/job.sh\nsize = 2\n" + "[queue q]\npool = p\n" + queue};
}

std::string id_of(const Response& response) { return json::parse(response.body)["id"].get<std::string>(); }

pid_t keeper_of(const Server& server, pid_t but = 0) {
    pid_t found = 0;
    eventually("there is a keeper", [&] {
        for (const pid_t pid : server.processes())
            if (pid != but &&
                contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: keeper"))
                found = pid;
        return found != 0;
    });
    return found;
}

/// Enqueues from several connections while it lives; ids that were answered 202, and all other statuses.
class Enqueuers {
 public:
    explicit Enqueuers(const Server& server, unsigned clients = 4) {
        for (unsigned client = 0; client < clients; ++client)
            threads_.emplace_back([this, port = server.port()] {
                while (!over_) {
                    Client connection(port);
                    for (int i = 0; i < 20 && !over_; ++i) {
                        if (!connection.send(post("/in", "work"))) break;
                        const auto response = connection.response();
                        const std::lock_guard lock(mutex_);
                        if (response.status == 202)
                            ids_.insert(id_of(response));
                        else if (response.status != 0 || i == 0)
                            others_.push_back(response.status);
                        if (response.status == 0 || response.field("Connection") == "close") break;
                    }
                }
            });
    }
    ~Enqueuers() { stop(); }
    void stop() {
        over_ = true;
        for (auto& thread : threads_)
            if (thread.joinable()) thread.join();
    }
    [[nodiscard]] std::size_t accepted() {
        const std::lock_guard lock(mutex_);
        return ids_.size();
    }
    /// After `stop`.
    [[nodiscard]] const std::set<std::string>& ids() const { return ids_; }
    [[nodiscard]] const std::vector<int>& others() const { return others_; }

 private:
    std::atomic<bool> over_{false};
    std::mutex mutex_;
    std::set<std::string> ids_;
    std::vector<int> others_;
    std::vector<std::thread> threads_;
};

std::string state_of(const Server& server, const std::string& id) {
    const auto response = server.get("/jobs/" + id);
    return response.status == 200 ? json::parse(response.body)["state"].get<std::string>() : "unknown";
}

void all_get_done(const Server& server, const std::set<std::string>& ids) {
    for (const auto& id : ids)
        eventually("job " + id + " is done", [&] { return state_of(server, id) == "done"; });
}

}  // namespace

TEST_CASE("a job is 202 with its place, runs, and has its result", "[integration][jobs]") {
    const TemporaryFolder folder;
    const Server server(folder, jobs_setup(folder));
    const auto response = server.ask(post("/in", "hello", "Content-Type: text/plain\r\n"));
    CAPTURE(response.head, response.body, server.log());
    REQUIRE(response.status == 202);
    const auto id = id_of(response);
    CHECK(response.field("Location") == "/jobs/" + id);
    CHECK(response.field("Retry-After") == "1");
    CHECK(response.field("Content-Type") == "application/json");
    const auto shown = server.get("/jobs/" + id + "?wait=30");
    REQUIRE(shown.status == 200);
    const auto job = json::parse(shown.body);
    CHECK(job["state"] == "done");
    CHECK(job["attempts"] == 1);
    CHECK(job["history"].size() == 1);
    const auto result = server.get("/jobs/" + id + "/result");
    CHECK(result.status == 200);
    CHECK(result.body == "hello");
    CHECK(result.field("Content-Type") == "text/plain");
    CHECK(server.get("/jobs/00000000-0000-7000-8000-000000000000").status == 404);
    CHECK(server.get("/jobs/nonsense").status == 404);
    const auto list = json::parse(server.get("/jobs/?state=done").body);
    REQUIRE(list["jobs"].size() == 1);
    CHECK(list["jobs"][0]["id"] == id);
    CHECK(json::parse(server.get("/jobs/openapi.json").body)["openapi"] == "3.1.0");
    eventually("metrics tell of it", [&] {
        return contains(server.get("/metrics").body, "reeve_jobs{queue=\"q\",state=\"done\"} 1\n");
    });
}

TEST_CASE("fields that make no sense are 400, bodies that are too large 413", "[integration][jobs]") {
    const TemporaryFolder folder;
    const Server server(folder, jobs_setup(folder, "job_size_max = 10\nidempotency_required = on\n"));
    const std::string key = "Idempotency-Key: \"a\"\r\n";
    CHECK(server.ask(post("/in", "x")).status == 400);
    CHECK(server.ask(post("/in", "x", "Idempotency-Key: bare\r\n")).status == 400);
    CHECK(server.ask(post("/in", "x", key + "Job-Delay: soon\r\n")).status == 400);
    CHECK(server.ask(post("/in", "x", key + "Job-Priority: 101\r\n")).status == 400);
    CHECK(server.ask(post("/in", "x", key + "Job-Attempts: 0\r\n")).status == 400);
    CHECK(server.ask(post("/in", "x", key + "Job-Delay: 1\r\nJob-Run-At: 2000000000\r\n")).status == 400);
    CHECK(server.ask(post("/in", "12345678901", key)).status == 413);
    const auto first = server.ask(post("/in", "x", key + "Job-Run-At: 2030-01-01T00:00:00Z\r\n"));
    CHECK(first.status == 202);
    CHECK(json::parse(first.body)["state"] == "scheduled");
    CHECK(server.get("/in").status == 405);
}

TEST_CASE("bodies that slow clients have begun with have a bound together, and beyond it is 503",
          "[integration][jobs][one-loop][concurrent]") {
    const TemporaryFolder folder;
    auto setup = jobs_setup(folder, "job_size_max = 64k\n", "cat",
                            "url = sqlite:@folder@/store/jobs.db\nbodies_max = 64k\n");
    setup.execution = just_workers(1);
    const Server server(folder, setup);
    Client slow = server.connect();
    slow.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + std::string(49'999, 'x'));
    Response refused;
    eventually("there is no room for another one", [&] {
        refused = server.ask(post("/in", std::string(40'000, 'y')));
        return refused.status == 503;
    });
    CHECK(refused.has("Retry-After"));
    CHECK(contains(refused.body, "too many bodies are on their way"));
    CHECK(server.ask(post("/in", std::string(1'000, 'z'))).status == 202);
    slow.send("x");
    CHECK(slow.response().status == 202);
    CHECK(server.ask(post("/in", std::string(40'000, 'y'))).status == 202);
    Client leaves = server.connect();
    leaves.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + std::string(49'999, 'x'));
    leaves.close();
    eventually("what a client leaves is free again",
               [&] { return server.ask(post("/in", std::string(60'000, 'y'))).status == 202; });
}

TEST_CASE("one key is one job, however many ask at once, and another body is 422", "[integration][jobs]") {
    const TemporaryFolder folder;
    const Server server(folder, jobs_setup(folder));
    std::mutex mutex;
    std::set<std::string> ids;
    std::set<int> statuses;
    std::vector<std::thread> threads;
    for (int i = 0; i < 50; ++i)
        threads.emplace_back([&] {
            Client client(server.port());
            client.send(post("/in", "same", "Idempotency-Key: \"k\"\r\n"));
            const auto response = client.response();
            const std::lock_guard lock(mutex);
            statuses.insert(response.status);
            if (response.status == 202) ids.insert(id_of(response));
        });
    for (auto& thread : threads) thread.join();
    CHECK(ids.size() == 1);
    statuses.erase(202);
    statuses.erase(409);
    CHECK(statuses.empty());
    const auto again = server.ask(post("/in", "same", "Idempotency-Key: \"k\"\r\n"));
    CHECK(again.status == 202);
    CHECK(id_of(again) == *ids.begin());
    CHECK(server.ask(post("/in", "other", "Idempotency-Key: \"k\"\r\n")).status == 422);
    CHECK(json::parse(server.get("/jobs/").body)["jobs"].size() == 1);
}

TEST_CASE("a full queue is 503, and other routes go on", "[integration][jobs]") {
    const TemporaryFolder folder;
    const Server server(folder, jobs_setup(folder, "size_max = 3 1m\n"));
    const std::string later = "Job-Delay: 1h\r\n";
    for (int i = 0; i < 3; ++i) CHECK(server.ask(post("/in", "x", later)).status == 202);
    const auto full = server.ask(post("/in", "x", later));
    CHECK(full.status == 503);
    CHECK(full.has("Retry-After"));
    CHECK(server.get("/metrics").status == 200);
    const auto purged = server.ask(post("/jobs/queues/q/purge?state=scheduled", ""));
    CHECK(purged.status == 200);
    CHECK(json::parse(purged.body)["purged"] == 3);
    CHECK(server.ask(post("/in", "x", later)).status == 202);
}

TEST_CASE("a paused queue keeps its jobs until it is resumed, and a waiting one can be cancelled",
          "[integration][jobs]") {
    const TemporaryFolder folder;
    const Server server(folder, jobs_setup(folder));
    CHECK(server.ask(post("/jobs/queues/q/pause", "")).status == 200);
    const auto first = id_of(server.ask(post("/in", "1"))), second = id_of(server.ask(post("/in", "2")));
    CHECK(state_of(server, first) == "ready");
    CHECK(server.ask("DELETE /jobs/" + second + " HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);
    CHECK(json::parse(server.get("/jobs/stats").body)["queues"][0]["paused"] == true);
    CHECK(server.ask(post("/jobs/queues/q/resume", "")).status == 200);
    eventually("it is done", [&] { return state_of(server, first) == "done"; });
    CHECK(state_of(server, second) == "cancelled");
    CHECK(server.ask(post("/jobs/" + first + "/retry", "")).status == 409);
    CHECK(server.ask(post("/jobs/" + second + "/retry", "")).status == 202);
    eventually("the other too", [&] { return state_of(server, second) == "done"; });
    CHECK(server.ask(post("/jobs/queues/other/pause", "")).status == 404);
}

TEST_CASE("only who has the token may ask about jobs", "[integration][jobs]") {
    const TemporaryFolder folder;
    auto setup = jobs_setup(folder);
    setup.routes +=
        "[route secret]\npath = /secret/\njobs = on\njobs_token = 0123456789abcdef\n"
        "[route far]\npath = /far/\njobs = on\nallow = 10.0.0.0/8\n";
    const Server server(folder, setup);
    const auto refused = server.get("/secret/stats");
    CHECK(refused.status == 401);
    CHECK(refused.field("WWW-Authenticate") == "Bearer");
    CHECK(server.get("/secret/stats", "Authorization: Bearer 0123456789abcdeg\r\n").status == 401);
    CHECK(server.get("/secret/stats", "Authorization: bearer 0123456789abcdef\r\n").status == 200);
    CHECK(server.get("/far/stats").status == 403);
}

TEST_CASE("a keeper that is killed loses no job, and no request for one fails", "[integration][jobs]") {
    const TemporaryFolder folder;
    Server server(folder, jobs_setup(folder));
    Enqueuers enqueuers(server);
    std::size_t before = 0;
    for (int round = 0; round < 3; ++round) {
        eventually("jobs are accepted", [&] { return enqueuers.accepted() > before + 20; });
        const pid_t keeper = keeper_of(server);
        REQUIRE(::kill(keeper, SIGKILL) == 0);
        before = enqueuers.accepted();
        keeper_of(server, keeper);
    }
    eventually("jobs are accepted again", [&] { return enqueuers.accepted() > before + 20; });
    enqueuers.stop();
    CHECK(enqueuers.others().empty());
    all_get_done(server, enqueuers.ids());
}

TEST_CASE("reloads while jobs come in fail none of them", "[integration][jobs]") {
    const TemporaryFolder folder;
    Server server(folder, jobs_setup(folder));
    Enqueuers enqueuers(server);
    std::size_t before = 0;
    for (int round = 0; round < 3; ++round) {
        eventually("jobs are accepted", [&] { return enqueuers.accepted() > before + 20; });
        CHECK(server.command({"-s", "reload"}).status == 0);
        before = enqueuers.accepted();
    }
    eventually("jobs are accepted again", [&] { return enqueuers.accepted() > before + 20; });
    enqueuers.stop();
    CHECK(enqueuers.others().empty());
    all_get_done(server, enqueuers.ids());
}

TEST_CASE("jobs are there after a restart, and run", "[integration][jobs]") {
    const TemporaryFolder folder;
    const auto setup = jobs_setup(folder);
    std::set<std::string> ids;
    {
        Server server(folder, setup);
        CHECK(server.ask(post("/jobs/queues/q/pause", "")).status == 200);
        for (int i = 0; i < 5; ++i) ids.insert(id_of(server.ask(post("/in", "x"))));
        server.stop();
    }
    const Server server(folder, setup);
    for (const auto& id : ids) CHECK(state_of(server, id) == "ready");
    CHECK(server.ask(post("/jobs/queues/q/resume", "")).status == 200);
    all_get_done(server, ids);
}

TEST_CASE("a store that cannot be had refuses the start, and a reload to it", "[integration][jobs]") {
    const TemporaryFolder folder;
    Server server(folder, jobs_setup(folder));
    auto bad = contents(server.config());
    const auto at = bad.find("url = ");
    REQUIRE(at != std::string::npos);
    bad.replace(at, bad.find('\n', at) - at, "url = sqlite:/proc/no/jobs.db");
    folder.write(server.config().substr(server.config().rfind('/') + 1), bad);
    const auto ran = server.command({"-s", "reload"});
    CHECK(ran.status != 0);
    CHECK(contains(ran.output + ran.errors, "jobs cannot be kept"));
    CHECK(server.ask(post("/in", "x")).status == 202);
}

TEST_CASE("the keeper is shown, has given up root, and leaves with the server", "[integration][jobs]") {
    const TemporaryFolder folder;
    Server server(folder, jobs_setup(folder));
    const pid_t keeper = keeper_of(server);
    const auto status = json::parse(server.command({"status", "--json"}).output);
    REQUIRE(status["keepers"].size() == 1);
    CHECK(status["keepers"][0]["pid"] == keeper);
    CHECK(
        contains(server.command({"status"}).output, "keeper of generation 1  pid " + std::to_string(keeper)));
    CHECK(contains(contents("/proc/" + std::to_string(keeper) + "/status"), "NoNewPrivs:\t1"));
    server.signal(SIGQUIT);
    CHECK(server.wait() == 0);
    CHECK(::kill(keeper, 0) != 0);
}
