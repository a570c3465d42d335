// Callbacks on the real server: who asked hears of the end of a job, signed, until it has heard.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/origin.h"
#include "tests/integration/server.h"
#include "worker/jobs/signature.h"

using namespace integration;
using nlohmann::json;

namespace {

const std::string secret = "0123456789abcdef";

/// A server whose queue `q` is done by a script, and who is told of ends.
struct Telling {
    explicit Telling(const Origin& told, const std::string& script, const std::string& queue = "") {
        const auto path = folder.write("job.sh", "#!/bin/sh\n" + script + "\n");
        ::chmod(path.c_str(), 0755);
        ::mkdir(folder.path("store").c_str(), 0777);
        ::chmod(folder.path("store").c_str(), 0777);
        setup.routes =
            "[route in]\npath = /in\nenqueue = q\n[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
            "[store]\nurl = sqlite:@folder@/store/jobs.db\n[pool p]\nrun = cgi @folder@/job.sh\nsize = 2\n"
            "[upstream hooks]\nbreaker_failures = 0\npeer = " +
            told.address() +
            "\n[queue q]\npool = p\ncallbacks = http://hooks.example/jobs/\ncallback_upstream = hooks\n"
            "callback_secret = " +
            secret + "\ncallback_backoff = 10ms..50ms\n" + queue;
    }
    TemporaryFolder folder;
    Setup setup;
};

constexpr const char* printing = "printf 'Content-Type: text/plain\\n\\n'\ncat";

Response enqueue(const Server& server, const std::string& url, const std::string& more = "") {
    return server.ask(post("/in", "hello", "Job-Callback: " + url + "\r\n" + more));
}

std::string id_of(const Response& response) { return json::parse(response.body)["id"].get<std::string>(); }

/// The job as it is told, if that is signed.
json told_of(const Asked& asked) {
    const auto value = asked.field("Reeve-Signature");
    CAPTURE(value, asked.head);
    REQUIRE(value.starts_with("t="));
    CHECK(value == worker::jobs::signature_of(secret, std::stoll(value.substr(2)), asked.payload));
    return json::parse(asked.payload);
}

json queue_of(const Server& server, const std::string& name) {
    const auto stats = json::parse(server.get("/jobs/stats").body);
    for (const auto& queue : stats["queues"])
        if (queue["name"] == name) return queue;
    return json::object();
}

}  // namespace

TEST_CASE("who wants to hear of the end of a job is told by a signed POST",
          "[integration][jobs][callbacks]") {
    const Origin hooks(always(answer("")));
    const Telling telling(hooks, printing);
    const Server server(telling.folder, telling.setup);
    const auto response = enqueue(server, "http://Hooks.Example:80/jobs/17?x=y");
    REQUIRE(response.status == 202);
    const auto asked = hooks.await();
    CHECK(asked.line() == "POST /jobs/17?x=y HTTP/1.1");
    CHECK(asked.field("Host") == "hooks.example");
    CHECK(asked.field("Content-Type") == "application/json");
    const auto job = told_of(asked);
    CHECK(job["id"] == id_of(response));
    CHECK(job["state"] == "done");
    CHECK(job["queue"] == "q");
    CHECK(job["result"]["size"] == 5);
    eventually("that it was told is a job that is done",
               [&] { return queue_of(server, "q:callbacks")["done"] == 1; });
    const auto list = json::parse(server.get("/jobs/?queue=q:callbacks").body)["jobs"];
    REQUIRE(list.size() == 1);
    CHECK(list[0]["key"] == id_of(response));
    CHECK("\"" + list[0]["id"].get<std::string>() + "\"" == asked.field("Idempotency-Key"));
    CHECK(queue_of(server, "q:callbacks")["configured"] == true);
    CHECK(hooks.asked().size() == 1);
}

TEST_CASE("URLs that the operator does not list are refused, and https", "[integration][jobs][callbacks]") {
    const Origin hooks(always(answer("")));
    const Telling telling(hooks, printing);
    const Server server(telling.folder, telling.setup);
    for (const std::string url : {"http://127.0.0.1:22/", "http://hooks.example/",
                                  "http://hooks.example/jobs/../x", "http://hooks.example/jobs/%2e%2e/x",
                                  "http://hooks.example@evil/jobs/", "ftp://hooks.example/jobs/"})
        CHECK(enqueue(server, url).status == 400);
    const auto secure = enqueue(server, "https://hooks.example/jobs/");
    CHECK(secure.status == 400);
    CHECK(contains(secure.body, "https cannot be spoken yet"));
    CHECK(json::parse(server.get("/jobs/").body)["jobs"].empty());
}

TEST_CASE("dead and cancelled jobs are told of", "[integration][jobs][callbacks]") {
    const Origin hooks(always(answer("")));
    const Telling telling(hooks, "exit 65");
    const Server server(telling.folder, telling.setup);
    const auto dead = enqueue(server, "http://hooks.example/jobs/dead");
    REQUIRE(dead.status == 202);
    CHECK(told_of(hooks.await(1))["state"] == "dead");
    const auto later = enqueue(server, "http://hooks.example/jobs/later", "Job-Delay: 1h\r\n");
    REQUIRE(later.status == 202);
    CHECK(server.ask("DELETE /jobs/" + id_of(later) + " HTTP/1.1\r\nHost: x\r\n\r\n").status == 200);
    const auto job = told_of(hooks.await(2));
    CHECK(job["state"] == "cancelled");
    CHECK(job["id"] == id_of(later));
}

TEST_CASE("who does not say 2xx is told again, by the same key, until it does or attempts are spent",
          "[integration][jobs][callbacks]") {
    std::atomic<int> times{0};
    const Origin hooks(
        [&](const Asked&, Origin::Talk& talk) { talk.send(answer("", "", ++times < 3 ? 500 : 200)); });
    const Telling telling(hooks, printing, "callback_attempts = 4\n");
    const Server server(telling.folder, telling.setup);
    REQUIRE(enqueue(server, "http://hooks.example/jobs/").status == 202);
    (void)hooks.await(3);
    eventually("it was told", [&] { return queue_of(server, "q:callbacks")["done"] == 1; });
    const auto all = hooks.asked();
    REQUIRE(all.size() == 3);
    for (std::size_t at = 0; at < 3; ++at) {
        CHECK(all[at].field("Idempotency-Key") == all[0].field("Idempotency-Key"));
        CHECK(all[at].field("Reeve-Attempt") == std::to_string(at + 1));
        CHECK(all[at].payload == all[0].payload);
        (void)told_of(all[at]);
    }
}

TEST_CASE("who never says 2xx is told so often, and that is seen", "[integration][jobs][callbacks]") {
    const Origin hooks(always(answer("no", "", 500)));
    const Telling telling(hooks, printing, "callback_attempts = 2\n");
    const Server server(telling.folder, telling.setup);
    REQUIRE(enqueue(server, "http://hooks.example/jobs/").status == 202);
    eventually("nobody is told any more", [&] { return queue_of(server, "q:callbacks")["dead"] == 1; });
    CHECK(hooks.asked().size() == 2);
    const auto list = json::parse(server.get("/jobs/?queue=q:callbacks&state=dead").body)["jobs"];
    REQUIRE(list.size() == 1);
    CHECK(contains(list[0]["reason"].get<std::string>(), "status 500: no, in the last of 2 attempts"));
}

TEST_CASE("who hangs keeps its place until it times out, and others are told",
          "[integration][jobs][callbacks]") {
    const Origin hooks([](const Asked& asked, Origin::Talk& talk) {
        if (!contains(asked.line(), "/hang")) talk.send(answer(""));
    });
    const Telling telling(hooks, printing,
                          "callback_timeout = 100ms\ncallback_concurrency = 1\ncallback_attempts = 2\n");
    const Server server(telling.folder, telling.setup);
    REQUIRE(enqueue(server, "http://hooks.example/jobs/hang").status == 202);
    (void)hooks.await(1);
    REQUIRE(enqueue(server, "http://hooks.example/jobs/well").status == 202);
    eventually("one is told, and the other one given up", [&] {
        auto queue = queue_of(server, "q:callbacks");
        return queue["done"] == 1 && queue["dead"] == 1;
    });
    const auto list = json::parse(server.get("/jobs/?queue=q:callbacks&state=dead").body)["jobs"];
    REQUIRE(list.size() == 1);
    CHECK(list[0]["callback"] == "http://hooks.example/jobs/hang");
    CHECK(
        contains(list[0]["reason"].get<std::string>(), "took longer than 100 ms, in the last of 2 attempts"));
}

TEST_CASE("a keeper that is killed before it has told of an end tells of it when it is back",
          "[integration][jobs][callbacks]") {
    std::atomic<bool> well{false};
    const Origin hooks([&](const Asked&, Origin::Talk& talk) {
        if (well)
            talk.send(answer(""));
        else
            talk.close();
    });
    const Telling telling(hooks, printing, "callback_attempts = 1000\n");
    const Server server(telling.folder, telling.setup);
    const auto response = enqueue(server, "http://hooks.example/jobs/");
    REQUIRE(response.status == 202);
    (void)hooks.await(1);  // the end is stored
    pid_t keeper = 0;
    for (const pid_t pid : server.processes())
        if (contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: keeper")) keeper = pid;
    REQUIRE(keeper != 0);
    ::kill(keeper, SIGKILL);
    well = true;
    eventually("it was told", [&] {
        auto queue = queue_of(server, "q:callbacks");
        return queue["done"] == 1;
    });
    CHECK(told_of(hooks.asked().back())["id"] == id_of(response));
}
