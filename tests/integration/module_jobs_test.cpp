// Jobs of C++ modules on the real server: coroutines that ask for them, and functions that do them.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr const char* functions[] = {"tell",  "steps", "waits", "asks",  "stuck",
                                     "crash", "fails", "lost",  "parts", "meet"};

/// A queue for each job function of the module, behind a pool of its processes; and handlers that ask.
struct Site {
    explicit Site(const std::string& pool = "size = 2\n", const std::string& queue = "") {
        const char* modules = std::getenv("MODULES");
        REQUIRE(modules != nullptr);
        const auto module = folder.path("chores.so");
        std::filesystem::copy_file(std::string(modules) + "/chores.so", module);
        ::chmod(module.c_str(), 0755);
        for (const char* name : {"out", "store"}) {
            ::mkdir(folder.path(name).c_str(), 0777);
            ::chmod(folder.path(name).c_str(), 0777);
        }
        setup.routes =
            "[module chores]\npath = @folder@/chores.so\n"
            "[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
            "[store]\nurl = sqlite:@folder@/store/jobs.db\n[pool p]\nrun = module chores\n" +
            pool;
        for (const std::string function : functions)
            setup.routes += "[queue " + function + "]\npool = p\nfunction = " + function + "\n" + queue +
                            "[route " + function + "]\npath = = /" + function + "\nenqueue = " + function +
                            "\n";
        for (const std::string handler : {"ask", "plainly", "entombed"})
            setup.routes +=
                "[route " + handler + "]\npath = /" + handler + "\nmodule = chores/" + handler + "\n";
    }
    void let_the_store_take(const std::string& time) {
        setup.routes.insert(setup.routes.find("url = sqlite"), "timeout = " + time + "\n");
    }
    [[nodiscard]] std::string out(const std::string& name) const { return folder.path("out/" + name); }
    [[nodiscard]] std::string said(const std::string& name) const { return contents(out(name)); }
    TemporaryFolder folder;
    Setup setup;
};

std::string enqueue(const Server& server, const std::string& function, const std::string& body,
                    const std::string& fields = "") {
    const auto response = server.ask(post("/" + function, body, fields));
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

Response cancel(const Server& server, const std::string& id) {
    return server.ask("DELETE /jobs/" + id + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

bool lives(pid_t pid) { return ::kill(pid, 0) == 0; }

pid_t keeper_of(const Server& server) {
    for (const pid_t pid : server.processes())
        if (contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: keeper")) return pid;
    return 0;
}

}  // namespace

// ---- functions that do them -----------------------------------------------------------------------

TEST_CASE("a job function knows its job, and what it returns is the result", "[integration][jobs][module]") {
    const Site site;
    const Server server(site.folder, site.setup);
    const auto id = enqueue(server, "tell", "a body",
                            "Content-Type: text/x-y\r\nJob-Key: seven\r\nJob-Attempts: 4\r\n"
                            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 1);
    const auto result = server.get("/jobs/" + id + "/result");
    CHECK(result.field("Content-Type") == "application/x-tale");
    CHECK(result.body ==
          "tell 1 of 4 key=seven type=text/x-y trace=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 "
          "fresh " +
              id + " a body");
    eventually("what it says is in the log", [&] {
        return contains(server.log(), "id=\"" + id + "\" request=\"attempt 1\" text=\"a word\"");
    });
    const auto both = enqueue(server, "parts", "123");
    until(server, both, "done");
    CHECK(server.get("/jobs/" + both + "/result").body == "321 cba");
    const auto large = enqueue(server, "parts", std::string(300'000, 'x') + "y");
    until(server, large, "done");
    CHECK(server.get("/jobs/" + large + "/result").body == "y" + std::string(300'000, 'x') + " cba");
}

TEST_CASE("how far a job function is can be seen, the last word for sure", "[integration][jobs][module]") {
    const Site site;
    const Server server(site.folder, site.setup);
    const auto id = enqueue(server, "steps", site.out("go"));
    eventually("half of it is done", [&] {
        auto job = job_of(server, id);
        return job["state"] == "running" && job["progress"] == "half";
    });
    CHECK(contains(server.log(), "text=\"no line end\""));
    site.folder.write("out/go", "");
    CHECK(until(server, id, "done")["progress"] == "nearly");
    CHECK(server.get("/jobs/" + id + "/result").body == "done");
}

TEST_CASE("a job function that throws fails, for good where it says so", "[integration][jobs][module]") {
    const Site site("size = 1\n", "backoff = 1ms..10ms\nattempts = 2\n");
    const Server server(site.folder, site.setup);
    const auto dead = [&](const std::string& body, unsigned attempts, const std::string& why) {
        CAPTURE(body);
        const auto job = until(server, enqueue(server, "fails", body), "dead");
        CHECK(job["attempts"] == attempts);
        CHECK(contains(job["history"].back()["error"].dump(), why));
        CHECK(job["crashes"] == 0);
    };
    dead("good", 1, "no such address");
    dead("404", 1, "not found");
    dead("throw", 2, "a job's own trouble");
    dead("begin", 2, "a job has no response");
    dead("enqueue", 2, "in workers");
    CHECK(until(server, enqueue(server, "fails", "once"), "done")["attempts"] == 2);
    const auto later = enqueue(server, "fails", "later");
    CHECK(until(server, later, "scheduled")["attempts"] == 1);
    const auto lost = until(server, enqueue(server, "lost", ""), "dead");
    CHECK(contains(lost["history"].back()["error"].dump(), "waits for what never comes"));
    CHECK(lost["crashes"] == 0);
    CHECK_FALSE(contains(server.log(), "pool member died"));
}

TEST_CASE("a job function that waits is ended where it waits when its job is cancelled",
          "[integration][jobs][module]") {
    const Site site("size = 1\nkill_grace = 30s\n");
    const Server server(site.folder, site.setup);
    const auto id = enqueue(server, "waits", site.out("log"));
    eventually("it runs", [&] { return contains(site.said("log"), "begun"); });
    CHECK(cancel(server, id).status == 202);
    CHECK(until(server, id, "cancelled")["attempts"] == 1);
    CHECK(site.said("log") == "begun\ndestroyed\n");
    until(server, enqueue(server, "parts", "1"), "done");  // its pool goes on
    CHECK_FALSE(contains(server.log(), "SIGKILL"));
}

TEST_CASE("a job function that computes hears that its job is cancelled when it asks",
          "[integration][jobs][module]") {
    const Site site("size = 1\nkill_grace = 30s\n");
    const Server server(site.folder, site.setup);
    const auto id = enqueue(server, "asks", site.out("log"));
    eventually("it runs", [&] { return contains(site.said("log"), "begun"); });
    CHECK(cancel(server, id).status == 202);
    until(server, id, "cancelled");
    CHECK(site.said("log") == "begun\ntold\n");
    CHECK(server.get("/jobs/" + id + "/result").status == 404);
}

TEST_CASE("a job function that hears nothing is killed with its process after kill_grace",
          "[integration][jobs][module]") {
    const std::string pool = "size = 1\nkill_grace = 200ms\n";
    const auto pid_of = [](const Site& site) {
        eventually("it runs", [&] { return contains(site.said("log"), "\n"); });
        return static_cast<pid_t>(std::atoi(site.said("log").substr(6).c_str()));
    };
    SECTION("when it is cancelled") {
        const Site site(pool);
        const Server server(site.folder, site.setup);
        const auto id = enqueue(server, "stuck", site.out("log"));
        const pid_t pid = pid_of(site);
        CHECK(cancel(server, id).status == 202);
        until(server, id, "cancelled");
        CHECK_FALSE(lives(pid));
        until(server, enqueue(server, "parts", "1"), "done");
    }
    SECTION("when it takes too long") {
        const Site site(pool, "timeout = 500ms\nattempts = 1\n");
        const Server server(site.folder, site.setup);
        const auto id = enqueue(server, "stuck", site.out("log"));
        const pid_t pid = pid_of(site);
        const auto job = until(server, id, "dead");
        CHECK_FALSE(lives(pid));
        CHECK(contains(job["history"].back().dump(), "timed_out"));
    }
}

TEST_CASE("a job function that crashes is begun three times, and dead, and its pool lives on",
          "[integration][jobs][module]") {
    const Site site("size = 1\n", "backoff = 1h..1h\n");
    const Server server(site.folder, site.setup);
    const auto id = enqueue(server, "crash", site.out("log"));
    const auto job = until(server, id, "dead");
    CHECK(job["crashes"] == 3);
    CHECK(contains(job["reason"].dump(), "crash"));
    CHECK(site.said("log") == "run 1\nrun 2\nrun 3\n");
    until(server, enqueue(server, "parts", "1"), "done");
    eventually("the log says who it was", [&] {
        return contains(server.log(), "module=chores job=crash") &&
               contains(server.log(), "job " + id + " attempt 3");
    });
}

TEST_CASE("a stop gives back what a job function has begun, without an attempt spent",
          "[integration][jobs][module]") {
    Site site("size = 1\nkill_grace = 5s\n");
    site.setup.reeve = "shutdown_timeout = 200ms\n";
    std::string id;
    {
        Server server(site.folder, site.setup);
        id = enqueue(server, "waits", site.out("log"));
        eventually("it runs", [&] { return contains(site.said("log"), "begun"); });
        server.signal(SIGQUIT);
        CHECK(server.wait() == 0);
        CHECK(site.said("log") == "begun\ndestroyed\n");
    }
    const Server server(site.folder, site.setup);
    eventually("it runs again", [&] { return count(site.said("log"), "begun") == 2; });
    CHECK(job_of(server, id)["attempts"] == 1);
    cancel(server, id);
    until(server, id, "cancelled");
}

TEST_CASE("whether a queue's function is there is known before anything begins",
          "[integration][jobs][module]") {
    const Site site;
    const auto complaints = [&](const std::string& more) {
        const auto config = write_config(site.folder,
                                         {.routes = "[module chores]\npath = @folder@/chores.so\n"
                                                    "[store]\nurl = sqlite:@folder@/jobs.db\n" +
                                                    more},
                                         1);
        return run({reeve(), "-t", "-c", config}).errors;
    };
    CHECK(contains(complaints("[pool p]\nrun = module chores\n[queue q]\npool = p\nfunction = nothing\n"),
                   "function: module chores has no job function `nothing`; it has `tell`, `steps`"));
    CHECK(contains(complaints("[pool p]\nrun = module chores\n[queue q]\npool = p\n"),
                   "pool: no function is named, and which handler of chores? It has `ask`"));
    CHECK(contains(complaints("[pool p]\nkind = thread\n[queue q]\npool = p\nfunction = tell\n"),
                   "is of threads of workers, which run no jobs"));
    CHECK(contains(complaints("[pool p]\nkind = thread\nrun = module chores\n[queue q]\npool = p\n"
                              "function = nothing\n"),
                   "function: module chores has no job function `nothing`"));
    const auto accepted = complaints(
        "[pool p]\nrun = module chores\n[queue q]\npool = p\nfunction = tell\n"
        "[route in]\npath = /in\nenqueue = q\n");
    CHECK_FALSE(contains(accepted, "function"));
}

// ---- threads that do them -------------------------------------------------------------------------

namespace {

constexpr const char* four_threads = "kind = thread\nsize = 4\nkill_grace = 300ms\n";

/// The process whose threads they are.
pid_t host_of(const Server& server) {
    const auto status = json::parse(server.command({"status", "--json"}).output);
    for (const auto& member : status["pools"].back()["members"])
        if (member["pid"] != 0) return member["pid"].get<pid_t>();
    return 0;
}

}  // namespace

TEST_CASE("threads of one process do several jobs at once", "[integration][jobs][module][job-threads]") {
    const Site site(four_threads);
    const Server server(site.folder, site.setup);
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(enqueue(server, "meet", site.out("met")));
    for (const auto& id : ids) until(server, id, "done");
    const auto pid = std::to_string(host_of(server));
    for (const auto& id : ids) CHECK(server.get("/jobs/" + id + "/result").body == pid);
    ids.clear();
    for (int i = 0; i < 40; ++i) ids.push_back(enqueue(server, "parts", std::to_string(i)));
    for (const auto& id : ids) until(server, id, "done");
    CHECK(std::to_string(host_of(server)) == pid);
}

TEST_CASE("a job that hears that it is cancelled costs the other threads nothing",
          "[integration][jobs][module][job-threads]") {
    const Site site("kind = thread\nsize = 4\nkill_grace = 30s\n");
    const Server server(site.folder, site.setup);
    const auto other = enqueue(server, "steps", site.out("go"));
    eventually("the other one runs", [&] { return job_of(server, other)["progress"] == "half"; });
    const pid_t host = host_of(server);
    for (const std::string function : {"waits", "asks"}) {
        const auto id = enqueue(server, function, site.out(function));
        eventually("it runs", [&] { return contains(site.said(function), "begun"); });
        CHECK(cancel(server, id).status == 202);
        until(server, id, "cancelled");
        CHECK(count(site.said(function), "\n") == 2);
        CHECK_FALSE(contains(site.said(function), "went on"));
    }
    CHECK(host_of(server) == host);
    site.folder.write("out/go", "");
    CHECK(until(server, other, "done")["attempts"] == 1);
    CHECK(host_of(server) == host);
}

TEST_CASE("jobs that are cancelled as soon as they are there cost no process",
          "[integration][jobs][module][job-threads]") {
    const Site site("kind = thread\nsize = 4\nkill_grace = 30s\n");
    const Server server(site.folder, site.setup);
    until(server, enqueue(server, "parts", "1"), "done");
    const pid_t host = host_of(server);
    for (int i = 0; i < 20; ++i) {
        const auto id = enqueue(server, i % 2 == 0 ? "asks" : "waits", site.out("log"));
        cancel(server, id);
        until(server, id, "cancelled");
    }
    until(server, enqueue(server, "parts", "1"), "done");
    CHECK(host_of(server) == host);
}

TEST_CASE("a thread that hears nothing costs its process, and the others' jobs no attempt",
          "[integration][jobs][module][job-threads]") {
    const Site site(four_threads);
    const Server server(site.folder, site.setup);
    const auto other = enqueue(server, "steps", site.out("go"));
    eventually("the other one runs", [&] { return job_of(server, other)["progress"] == "half"; });
    const auto id = enqueue(server, "stuck", site.out("log"));
    eventually("it runs", [&] { return contains(site.said("log"), "\n"); });
    const pid_t host = host_of(server);
    CHECK(site.said("log") == "begun " + std::to_string(host) + "\n");
    CHECK(cancel(server, id).status == 202);
    until(server, id, "cancelled");
    CHECK_FALSE(lives(host));
    site.folder.write("out/go", "");
    const auto job = until(server, other, "done");
    CHECK(job["attempts"] == 1);
    CHECK(job["crashes"] == 0);
}

TEST_CASE("of jobs whose process crashes the one whose fault it was is dead, the others are done",
          "[integration][jobs][module][job-threads]") {
    const Site site(four_threads, "backoff = 1h..1h\n");
    const Server server(site.folder, site.setup);
    const auto other = enqueue(server, "steps", site.out("go"));
    eventually("the other one runs", [&] { return job_of(server, other)["progress"] == "half"; });
    const auto id = enqueue(server, "crash", site.out("log"));
    eventually("the other one crashed with it", [&] { return job_of(server, other)["crashes"] == 1; });
    site.folder.write("out/go", "");
    const auto dead = until(server, id, "dead");
    CHECK(dead["crashes"] == 3);
    CHECK(site.said("log") == "run 1\nrun 2\nrun 3\n");
    const auto job = until(server, other, "done");
    CHECK(job["crashes"] == 1);
    CHECK(job["attempts"] == 2);
    until(server, enqueue(server, "parts", "1"), "done");
    eventually("the log says who it was", [&] {
        return contains(server.log(), "job=crash") && contains(server.log(), "job " + id + " attempt 3");
    });
}

TEST_CASE("a stop gives back what threads have begun, without an attempt spent",
          "[integration][jobs][module][job-threads]") {
    Site site("kind = thread\nsize = 4\nkill_grace = 5s\n");
    site.setup.reeve = "shutdown_timeout = 200ms\n";
    std::vector<std::string> ids;
    {
        Server server(site.folder, site.setup);
        for (const char* name : {"one", "two"}) {
            ids.push_back(enqueue(server, "waits", site.out(name)));
            eventually("it runs", [&] { return contains(site.said(name), "begun"); });
        }
        server.signal(SIGQUIT);
        CHECK(server.wait() == 0);
        CHECK(site.said("one") == "begun\ndestroyed\n");
        CHECK(site.said("two") == "begun\ndestroyed\n");
    }
    const Server server(site.folder, site.setup);
    for (const auto& id : ids) {
        CHECK(until(server, id, "running")["attempts"] == 1);
        cancel(server, id);
        until(server, id, "cancelled");
    }
}

TEST_CASE("what threads have begun goes on over a reload, and can be cancelled after it",
          "[integration][jobs][module][job-threads]") {
    const Site site("kind = thread\nsize = 4\nkill_grace = 30s\n");
    const Server server(site.folder, site.setup);
    const auto steps = enqueue(server, "steps", site.out("go"));
    const auto waits = enqueue(server, "waits", site.out("log"));
    eventually("both run", [&] {
        return job_of(server, steps)["progress"] == "half" && contains(site.said("log"), "begun");
    });
    const pid_t host = host_of(server);
    server.signal(SIGHUP);
    eventually("there is another generation", [&] { return contains(server.log(), "ready generation=2"); });
    until(server, enqueue(server, "parts", "1"), "done");
    CHECK(lives(host));
    CHECK(cancel(server, waits).status == 202);
    until(server, waits, "cancelled");
    CHECK(site.said("log") == "begun\ndestroyed\n");
    CHECK(lives(host));
    site.folder.write("out/go", "");
    CHECK(until(server, steps, "done")["attempts"] == 1);
    eventually("the process of before leaves", [&] { return !lives(host); });
}

TEST_CASE("a keeper that is killed leaves no thread at its job", "[integration][jobs][module][job-threads]") {
    const Site site(four_threads, "backoff = 1h..1h\n");
    const Server server(site.folder, site.setup);
    const auto id = enqueue(server, "stuck", site.out("log"));
    eventually("it runs", [&] { return count(site.said("log"), "\n") == 1; });
    const pid_t host = host_of(server);
    REQUIRE(::kill(keeper_of(server), SIGKILL) == 0);
    eventually("the process is ended", [&] { return !lives(host); });
    eventually("it runs again", [&] { return count(site.said("log"), "\n") == 2; });
    cancel(server, id);
    until(server, id, "cancelled");
}

// ---- coroutines that ask for them -----------------------------------------------------------------

TEST_CASE("a coroutine asks for a job as a client does", "[integration][jobs][module]") {
    const Site site;
    const Server server(site.folder, site.setup);
    const auto ask = [&](const std::string& fields, const std::string& body = "b") {
        return server.ask(post("/ask?tell", body, fields));
    };
    auto answer =
        ask("X-Type: text/z\r\nX-Key: k\r\nX-Attempts: 3\r\nX-Priority: 7\r\n"
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
            "the body");
    REQUIRE(answer.status == 202);
    REQUIRE(answer.body.starts_with("new "));
    auto id = answer.body.substr(4);
    CHECK(until(server, id, "done")["priority"] == 7);
    CHECK(contains(
        server.get("/jobs/" + id + "/result").body,
        "tell 1 of 3 key=k type=text/z trace=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    CHECK(contains(server.get("/jobs/" + id + "/result").body, "the body"));

    for (const char* later : {"X-Delay: 3600000\r\n", "X-Run-In: 3600\r\n"}) {
        answer = ask(later);
        REQUIRE(answer.status == 202);
        CHECK(job_of(server, answer.body.substr(4))["state"] == "scheduled");
    }
    answer = ask("X-Idempotency: once\r\n");
    REQUIRE(answer.status == 202);
    id = answer.body.substr(4);
    CHECK(ask("X-Idempotency: once\r\n").body == "existing " + id);
    CHECK(json::parse(server.ask(post("/tell", "b", "Idempotency-Key: \"once\"\r\n")).body)["id"] == id);
    answer = ask("X-Idempotency: once\r\n", "other");
    CHECK(answer.status == 422);
    CHECK(answer.body.starts_with("other_request "));
    answer = ask("X-Unique: u\r\nX-Delay: 3600000\r\n");
    CHECK(ask("X-Unique: u\r\n").body == "existing " + answer.body.substr(4));
}

TEST_CASE("a coroutine hears why there is no job", "[integration][jobs][module]") {
    const Site site("size = 1\n", "size_max = 2 1m\njob_size_max = 100\n");
    const Server server(site.folder, site.setup);
    const auto ask = [&](const std::string& queue, const std::string& fields = "", std::size_t size = 1) {
        return server.ask(post("/ask?" + queue, std::string(size, 'x'), fields));
    };
    CHECK(ask("nothing").body == "no_queue there is no [queue nothing]");
    CHECK(ask("nothing").status == 500);
    auto answer = ask("tell", "", 101);
    CHECK(answer.status == 413);
    CHECK(answer.body.starts_with("too_large "));
    CHECK(ask("tell", "X-Priority: 101\r\n").body.starts_with("refused priority"));
    CHECK(ask("tell", "X-Attempts: 0\r\n").body.starts_with("refused attempts"));
    CHECK(ask("tell", "X-Delay: -1\r\n").body.starts_with("refused delay"));
    CHECK(ask("tell", "X-Delay: 1\r\nX-Run-In: 1\r\n").body.starts_with("refused delay and run_at"));
    CHECK(ask("tell", "X-Callback: ftp://x\r\n").body.starts_with("refused callback"));
    CHECK(ask("tell", "X-Key: \xc3\xa4\r\n").body.starts_with("refused key"));
    for (int i = 0; i < 2; ++i) CHECK(ask("tell", "X-Delay: 3600000\r\n").status == 202);
    answer = ask("tell");
    CHECK(answer.status == 503);
    CHECK(answer.body == "full the queue is full");
    answer = server.ask(post("/plainly?tell", "x"));  // catches nothing
    CHECK(answer.status == 503);
    CHECK(answer.field("Retry-After") == "1");
}

TEST_CASE("a coroutine waits for a keeper that dies, and not for ever for one that says nothing",
          "[integration][jobs][module]") {
    Site site("size = 1\n");
    site.let_the_store_take("2s");
    const Server server(site.folder, site.setup);
    const pid_t keeper = keeper_of(server);
    REQUIRE(keeper != 0);
    freeze(keeper);
    const auto answer = server.ask(post("/ask?tell", "x"));
    CHECK(answer.status == 503);
    CHECK(answer.body.starts_with("unstored "));
    REQUIRE(::kill(keeper, SIGKILL) == 0);
    const auto stored = server.ask(post("/ask?tell", "x"));
    CHECK(stored.status == 202);
    until(server, stored.body.substr(4), "done");
}

TEST_CASE("a job that was asked for is stored although who asked has left", "[integration][jobs][module]") {
    Site site("size = 1\n");
    site.let_the_store_take("60s");
    const auto q = site.setup.routes.find("[queue tell]");
    site.setup.routes.insert(q, "[queue q]\npool = p\nfunction = tell\n");
    const Server server(site.folder, site.setup);
    const pid_t keeper = keeper_of(server);
    REQUIRE(keeper != 0);
    freeze(keeper);
    {
        auto client = server.connect();
        client.send(post("/entombed?" + site.out("log"), "of one who left"));
        eventually("it asks", [&] { return contains(site.said("log"), "asks"); });
    }
    eventually("it is ended where it waits", [&] { return site.said("log") == "asks\ndestroyed\n"; });
    REQUIRE(::kill(keeper, SIGCONT) == 0);
    json listed;
    eventually("the job is done", [&] {
        listed = json::parse(server.get("/jobs/?queue=q&state=done").body)["jobs"];
        return listed.size() == 1;
    });
    CHECK(contains(server.get("/jobs/" + listed[0]["id"].get<std::string>() + "/result").body,
                   "of one who left"));
    CHECK(site.said("log") == "asks\ndestroyed\n");
}
