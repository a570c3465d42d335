// Jobs of several servers that share a real PostgreSQL: each runs once, also when servers, keepers or the
// database go.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/server.h"
#include "tests/postgres_server.h"

using namespace integration;
using nlohmann::json;

namespace {

/// Where all nodes write what they do.
struct Shared {
    Shared() {
        ::mkdir(folder.path("out").c_str(), 0777);
        ::chmod(folder.path("out").c_str(), 0777);
        ::chmod(folder.path("").c_str(), 0755);
    }
    [[nodiscard]] std::string said(const std::string& name) const {
        return contents(folder.path("out/" + name));
    }
    [[nodiscard]] std::vector<std::string> lines(const std::string& name) const {
        std::istringstream text(said(name));
        std::vector<std::string> all;
        for (std::string line; std::getline(text, line);) all.push_back(line);
        return all;
    }
    TemporaryFolder folder;
    PostgresServer database;
};

/// A server whose queue `q` is done by a script, which knows where it may write and on which node it runs.
struct Node {
    Node(const Shared& shared, const std::string& name, const std::string& script,
         const std::string& store = "lease = 1h\n", const std::string& url = "") {
        const auto path = folder.write("job.sh", "#!/bin/sh\nout=" + shared.folder.path("out") +
                                                     "\nnode=" + name + "\n" + script + "\n");
        ::chmod(path.c_str(), 0755);
        server = std::make_unique<Server>(
            folder,
            Setup{.routes = "[route in]\npath = /in\nenqueue = q\n[route jobs]\npath = /jobs/\njobs = on\n"
                            "allow = 127.0.0.1\n[route hello]\npath = /hello\nrespond = 200 \"hello\"\n"
                            "[store]\nurl = " +
                            (url.empty() ? shared.database.url() : url) + "\n" + store +
                            "[pool p]\nrun = cgi @folder@/job.sh\nsize = 2\n[queue q]\npool = p\n"});
    }
    [[nodiscard]] std::string enqueue(const std::string& body = "x") const {
        const auto response = server->ask(post("/in", body));
        CAPTURE(response.head, response.body);
        REQUIRE(response.status == 202);
        return json::parse(response.body)["id"].get<std::string>();
    }
    [[nodiscard]] json job(const std::string& id) const {
        const auto response = server->get("/jobs/" + id);
        return response.status == 200 ? json::parse(response.body) : json{{"state", "unknown"}};
    }
    json until(const std::string& id, const std::string& state) const {
        json last;
        eventually("job " + id + " is " + state, [&] {
            last = job(id);
            return last["state"] == state;
        });
        return last;
    }
    [[nodiscard]] pid_t keeper(pid_t but = 0) const {
        pid_t found = 0;
        eventually("there is a keeper", [&] {
            for (const pid_t pid : server->processes())
                if (pid != but &&
                    contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: keeper"))
                    found = pid;
            return found != 0;
        });
        return found;
    }
    TemporaryFolder folder;
    std::unique_ptr<Server> server;
};

/// Asks a node for jobs while it lives; those that it has promised, and how often it could not.
class Asking {
 public:
    explicit Asking(const Node& node)
        : thread_([this, port = node.server->port()] {
              while (!over_) {
                  Client client(port);
                  for (int i = 0; i < 20 && !over_; ++i) {
                      if (!client.send(post("/in", "work"))) break;
                      const auto response = client.response();
                      const std::lock_guard lock(mutex_);
                      if (response.status == 202)
                          ids_.insert(json::parse(response.body)["id"].get<std::string>());
                      else if (response.status == 503)
                          ++unavailable_;
                      else if (response.status != 0)
                          ++wrong_;
                      if (response.status == 0 || response.field("Connection") == "close") break;
                  }
              }
          }) {}
    ~Asking() { stop(); }
    void stop() {
        over_ = true;
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] std::set<std::string> ids() const {
        const std::lock_guard lock(mutex_);
        return ids_;
    }
    [[nodiscard]] int unavailable() const {
        const std::lock_guard lock(mutex_);
        return unavailable_;
    }
    [[nodiscard]] int wrong() const { return wrong_; }

 private:
    std::atomic<bool> over_{false};
    mutable std::mutex mutex_;
    std::set<std::string> ids_;
    int unavailable_ = 0, wrong_ = 0;
    std::thread thread_;
};

constexpr const char* writes_its_name =
    "cat > /dev/null; echo $JOB_ID >> $out/ran.$node; printf 'Content-Type: text/plain\\n\\n'; echo $node";
/// Ends when there is a file of that name.
constexpr const char* waits =
    "echo $JOB_ID >> $out/began.$node; while [ ! -e $out/go ]; do sleep 0.02; done\n";

}  // namespace

TEST_CASE("two nodes on one database: each job runs once, on either", "[integration][jobs][postgres]") {
    const Shared shared;
    const Node one(shared, "one", writes_its_name), two(shared, "two", writes_its_name);
    std::set<std::string> ids;
    for (int i = 0; i < 150; ++i) {
        ids.insert(one.enqueue());
        ids.insert(two.enqueue());
    }
    for (const auto& id : ids) one.until(id, "done");
    auto ran = shared.lines("ran.one");
    const auto others = shared.lines("ran.two");
    CHECK_FALSE(ran.empty());
    CHECK_FALSE(others.empty());
    ran.insert(ran.end(), others.begin(), others.end());
    CHECK(ran.size() == ids.size());
    CHECK(std::set<std::string>(ran.begin(), ran.end()) == ids);
    const auto stats = json::parse(two.server->get("/jobs/stats").body)["queues"][0];
    CHECK(stats["done"] == ids.size());
    CHECK(stats["running"] == 0);
}

TEST_CASE("a job that another node stored runs at once where there is a place",
          "[integration][jobs][postgres]") {
    const Shared shared;
    const Node one(shared, "one", writes_its_name);
    const Node full(shared, "full", std::string(waits) + writes_its_name);
    CHECK(one.server->ask(post("/jobs/queues/q/pause", "")).status == 200);
    const auto id = full.enqueue();
    CHECK(one.job(id)["state"] == "ready");
    CHECK(full.server->ask(post("/jobs/queues/q/resume", "")).status == 200);
    shared.folder.write("out/go", "");
    one.until(id, "done");
}

TEST_CASE("when a machine is lost its jobs run on another one after the lease",
          "[integration][jobs][postgres]") {
    const Shared shared;
    auto lost = std::make_unique<Node>(shared, "lost", std::string(waits), "lease = 2s\n");
    const auto id = lost->enqueue();
    eventually("it runs", [&] { return shared.lines("began.lost") == std::vector<std::string>{id}; });
    const Node other(shared, "other", writes_its_name, "lease = 2s\n");
    REQUIRE(::kill(-lost->server->pid(), SIGKILL) == 0);

    const auto job = other.until(id, "done");

    CHECK(job["attempts"] == 2);
    CHECK(job["history"][0]["ending"] == "lost");
    CHECK(shared.lines("ran.other") == std::vector<std::string>{id});
    (void)lost->server->wait();
}

TEST_CASE("a keeper that stood still past its lease is fenced off", "[integration][jobs][postgres]") {
    const Shared shared;
    const std::string script = std::string(waits) + "printf 'Content-Type: text/plain\\n\\n'; echo late";
    const Node still(shared, "still", script, "lease = 2s\n");
    const auto id = still.enqueue();
    eventually("it runs", [&] { return shared.lines("began.still").size() == 1; });
    const Node other(shared, "other", writes_its_name, "lease = 2s\n");
    const pid_t keeper = still.keeper();
    REQUIRE(::kill(keeper, SIGSTOP) == 0);
    other.until(id, "done");
    REQUIRE(::kill(keeper, SIGCONT) == 0);
    shared.folder.write("out/go", "");
    eventually("it is told", [&] { return contains(still.server->log(), "came too late"); });
    const auto job = other.job(id);
    CHECK(job["state"] == "done");
    CHECK(job["history"].size() == 2);
    CHECK(other.server->get("/jobs/" + id + "/result").body == "other\n");
}

TEST_CASE("jobs of a keeper that was killed run again at once, not after its lease",
          "[integration][jobs][postgres]") {
    const Shared shared;
    const Node node(shared, "node",
                    "[ $JOB_ATTEMPT = 1 ] && { echo $JOB_ID >> $out/began; sleep 600; }\n" +
                        std::string(writes_its_name));
    const auto id = node.enqueue();
    eventually("it runs", [&] { return shared.lines("began").size() == 1; });
    const pid_t keeper = node.keeper();
    REQUIRE(::kill(keeper, SIGKILL) == 0);
    CHECK(node.until(id, "done")["attempts"] == 2);
}

TEST_CASE("the database goes and comes: 503 meanwhile, and no job that was promised is lost",
          "[integration][jobs][postgres]") {
    Shared shared;
    const Node one(shared, "one", writes_its_name), two(shared, "two", writes_its_name);
    Asking first(one), second(two);
    for (const int signal : {SIGINT, SIGQUIT}) {
        const auto before = first.ids().size() + second.ids().size();
        eventually("jobs are accepted",
                   [&] { return first.ids().size() + second.ids().size() > before + 50; });
        const int failed = first.unavailable(), failed_too = second.unavailable();
        shared.database.stop(signal);
        eventually("they are 503",
                   [&] { return first.unavailable() > failed && second.unavailable() > failed_too; });
        CHECK(one.server->get("/hello").status == 200);
        shared.database.start();
    }
    const auto one_had = first.ids().size(), two_had = second.ids().size();
    eventually("both accept again",
               [&] { return first.ids().size() > one_had && second.ids().size() > two_had; });
    first.stop();
    second.stop();
    CHECK(first.wrong() + second.wrong() == 0);
    for (const auto& id : first.ids()) two.until(id, "done");
    for (const auto& id : second.ids()) one.until(id, "done");
}

TEST_CASE("a server starts while its database is away, and has jobs when that comes",
          "[integration][jobs][postgres]") {
    Shared shared;
    shared.database.stop();
    const Node node(shared, "node", writes_its_name);
    CHECK(node.server->get("/hello").status == 200);
    const auto refused = node.server->ask(post("/in", "x"));
    CHECK(refused.status == 503);
    CHECK(contains(refused.body, "the database cannot be had"));
    CHECK_FALSE(contains(refused.body, "socket"));  // where it is nobody hears but who reads the log
    CHECK(contains(node.server->log(), "connection to server on socket"));
    shared.database.start();
    eventually("jobs are accepted", [&] { return node.server->ask(post("/in", "x")).status == 202; });
    eventually("and run", [&] { return !shared.lines("ran.node").empty(); });
}

TEST_CASE("a job is cancelled wherever it runs", "[integration][jobs][postgres]") {
    const Shared shared;
    const Node runs(shared, "runs", std::string(waits));
    const auto id = runs.enqueue();
    eventually("it runs", [&] { return shared.lines("began.runs").size() == 1; });
    const Node other(shared, "other", writes_its_name);
    CHECK(other.server->ask("DELETE /jobs/" + id + " HTTP/1.1\r\nHost: x\r\n\r\n").status == 202);
    other.until(id, "cancelled");
    CHECK(shared.lines("ran.other").empty());
}

TEST_CASE("reloads and upgrades keep jobs of a database going", "[integration][jobs][postgres]") {
    const Shared shared;
    const Node node(shared, "node", writes_its_name, "lease = 2s\n");
    Asking asking(node);
    for (int round = 0; round < 3; ++round) {
        const auto before = asking.ids().size();
        eventually("jobs are accepted", [&] { return asking.ids().size() > before + 20; });
        CHECK(node.server->command({"-s", "reload"}).status == 0);
    }
    asking.stop();
    CHECK(asking.unavailable() + asking.wrong() == 0);
    for (const auto& id : asking.ids()) CHECK(node.until(id, "done")["attempts"] == 1);
}
