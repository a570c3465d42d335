// Jobs that run on the real server: by scripts, programs and peers, and what becomes of them when these fail,
// die or are cancelled.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/origin.h"
#include "tests/integration/server.h"

using namespace integration;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// A server whose queue `q` is done by a script, and a place where that may write.
struct Site {
    explicit Site(const std::string& script) {
        const auto path =
            folder.write("job.sh", "#!/bin/sh\nout=" + folder.path("out") + "\n" + script + "\n");
        ::chmod(path.c_str(), 0755);
        for (const char* name : {"out", "store"}) {
            ::mkdir(folder.path(name).c_str(), 0777);
            ::chmod(folder.path(name).c_str(), 0777);
        }
    }
    [[nodiscard]] Setup setup(const std::string& queue = "", const std::string& pool = "size = 2\n",
                              const std::string& run = "cgi @folder@/job.sh") const {
        return {
            .routes =
                "[route in]\npath = /in\nenqueue = q\n[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
                "[store]\nurl = sqlite:@folder@/store/jobs.db\n[pool p]\nrun = " +
                run + "\n" + pool + "[queue q]\npool = p\n" + queue};
    }
    [[nodiscard]] std::string said(const std::string& name) const {
        return contents(folder.path("out/" + name));
    }
    [[nodiscard]] std::size_t lines(const std::string& name) const { return count(said(name), "\n"); }
    TemporaryFolder folder;
};

std::string enqueue(const Server& server, const std::string& body, const std::string& fields = "") {
    const auto response = server.ask(post("/in", body, fields));
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

/// Pids of members that have a task.
std::vector<pid_t> busy(const Server& server) {
    std::vector<pid_t> all;
    const auto status = json::parse(server.command({"status", "--json"}).output);
    for (const auto& member : status["pools"].back()["members"])
        if (member["state"] == "busy") all.push_back(member["pid"].get<pid_t>());
    return all;
}

bool lives(pid_t pid) { return ::kill(pid, 0) == 0; }

}  // namespace

TEST_CASE("a script knows its job, says how far it is, and its exit status is how it went",
          "[integration][jobs]") {
    const Site site(
        "echo \"$JOB_QUEUE $JOB_ATTEMPT $JOB_KEY $(cat)\" >> $out/log\n"
        "echo 'reeve-progress: half' >&2\necho 'a word' >&2\n"
        "[ $JOB_ATTEMPT = 2 ] || exit 7\n");
    const Server server(site.folder, site.setup("backoff = 1ms..10ms\n"));
    const auto id = enqueue(server, "hello", "Job-Key: seven\r\n");
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 2);
    CHECK(job["progress"] == "half");
    CHECK(site.said("log") == "q 1 seven hello\nq 2 seven hello\n");
    REQUIRE(job["history"].size() == 2);
    CHECK(job["history"][0]["error"] == "exit status 7");
    CHECK(contains(server.log(), "program says queue=q peer=p/"));
    CHECK(contains(server.log(), "id=\"" + id + "\" request=\"attempt 1\" text=\"a word\""));
}

TEST_CASE("a job whose process is killed runs again within a second, as the second attempt",
          "[integration][jobs]") {
    const Site site("echo $JOB_ATTEMPT $(date +%s%N) >> $out/log\n[ $JOB_ATTEMPT = 2 ] || sleep 1000\n");
    const Server server(site.folder, site.setup("backoff = 1h..1h\n"));
    const auto id = enqueue(server, "x");
    eventually("it runs", [&] { return site.lines("log") == 1; });
    const auto members = busy(server);
    REQUIRE(members.size() == 1);
    const auto killed = std::chrono::system_clock::now();
    ::kill(members[0], SIGKILL);
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 2);
    CHECK(job["crashes"] == 1);
    CHECK(contains(job["history"][0].dump(), "crashed"));
    const auto log = site.said("log");
    const auto again = std::stoll(log.substr(log.find("\n2 ") + 3));
    const auto took = std::chrono::nanoseconds(again) - killed.time_since_epoch();
    CHECK(took < 1s);
}

TEST_CASE("a job that kills its process each time runs three times and is dead, and its pool lives on",
          "[integration][jobs]") {
    const Site site("echo run >> $out/log\nread what\n[ \"$what\" = well ] || kill -9 $$\n");
    const Server server(site.folder, site.setup("backoff = 1h..1h\n"));
    const auto id = enqueue(server, "deadly\n");
    const auto job = until(server, id, "dead");
    CHECK(job["crashes"] == 3);
    CHECK(site.said("log") == "run\nrun\nrun\n");
    CHECK(contains(job["reason"].dump(), "crash"));
    until(server, enqueue(server, "well\n"), "done");
}

TEST_CASE("a job that runs is cancelled surely: its program is gone, even one that TERM means nothing to",
          "[integration][jobs]") {
    const Site site("trap '' TERM\necho $$ >> $out/pid\nwhile :; do sleep 1; done\n");
    const Server server(site.folder, site.setup("", "size = 1\nkill_grace = 300ms\n"));
    const auto id = enqueue(server, "x");
    eventually("it runs", [&] { return site.lines("pid") == 1; });
    const pid_t program = std::atoi(site.said("pid").c_str());
    CHECK(server.ask("DELETE /jobs/" + id + " HTTP/1.1\r\nHost: x\r\n\r\n").status == 202);
    const auto job = until(server, id, "cancelled");
    CHECK_FALSE(lives(program));
    CHECK(job["attempts"] == 1);
}

TEST_CASE("where a keeper was killed, what its jobs ran in is gone before they are begun anew",
          "[integration][jobs]") {
    const std::string whether_it_lives =
        "case $(cat /proc/$(head -n 1 $out/pid)/status 2>/dev/null) in ''|*'(zombie)'*) ;; "
        "*) echo both > $out/both;; esac\n";
    const Site site(
        "echo $$ >> $out/pid\nif [ $JOB_ATTEMPT = 1 ]; then trap '' TERM; while :; do sleep 1; done; fi\n" +
        whether_it_lives);
    site.folder.write("job.php", "<?php $out = '" + site.folder.path("out") + R"(';
file_put_contents("$out/pid", getmypid() . "\n", FILE_APPEND);
if ($_SERVER['JOB_ATTEMPT'] === '1') for (;;) usleep(10000);
$first = (int) file("$out/pid")[0];
if (preg_match('/^State:\s*[^Z]/m', (string) @file_get_contents("/proc/$first/status"))) touch("$out/both");
)");
    const std::string pool = "size = 2\nkill_grace = 500ms\n";
    auto setup = site.setup("", pool);
    SECTION("a program that TERM means nothing to") {}
    SECTION("a FastCGI application") {
        setup = site.setup("script = @folder@/job.php\n", pool, "fastcgi php-cgi");
    }
    const Server server(site.folder, setup);
    const auto id = enqueue(server, "x");
    eventually("it runs", [&] { return site.lines("pid") == 1; });
    const auto status = json::parse(server.command({"status", "--json"}).output);
    REQUIRE(::kill(status["keepers"][0]["pid"].get<pid_t>(), SIGKILL) == 0);
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 2);
    CHECK(contains(job["history"][0].dump(), "lost"));
    CHECK_FALSE(std::filesystem::exists(site.folder.path("out/both")));
}

TEST_CASE("a job that takes too long is ended, and tried again after its back-off", "[integration][jobs]") {
    const Site site("echo $$ >> $out/pid\n[ $JOB_ATTEMPT = 2 ] || sleep 1000\n");
    const Server server(site.folder, site.setup("timeout = 300ms\nbackoff = 1ms..10ms\n"));
    const auto job = until(server, enqueue(server, "x"), "done");
    CHECK(job["attempts"] == 2);
    CHECK(job["history"][0]["error"] == "took longer than 300 ms");
    CHECK_FALSE(lives(std::atoi(site.said("pid").c_str())));
}

TEST_CASE("a graceful stop gives back what runs for too long, without an attempt spent",
          "[integration][jobs]") {
    const Site site("echo $JOB_ATTEMPT >> $out/log\n[ -e $out/go ] || sleep 1000\n");
    auto setup = site.setup();
    setup.reeve = "shutdown_timeout = 500ms\n";
    std::string id;
    {
        Server server(site.folder, setup);
        id = enqueue(server, "x");
        eventually("it runs", [&] { return site.lines("log") == 1; });
        server.stop();
    }
    site.folder.write("out/go", "");
    const Server server(site.folder, setup);
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 1);
    CHECK(site.said("log") == "1\n1\n");
}

TEST_CASE("a job of a pool that has no process yet starts one", "[integration][jobs]") {
    const Site site("cat > /dev/null\n");
    const Server server(site.folder, site.setup("", "size_min = 0\nsize_max = 2\n"));
    until(server, enqueue(server, "x"), "done");
}

TEST_CASE("a program that speaks FastCGI does jobs", "[integration][jobs]") {
    const char* named = std::getenv("FCGI_ECHO");
    if (named == nullptr) return;
    const Site site("");
    const Server server(site.folder, site.setup("", "size = 1\n", std::string("fastcgi ") + named));
    const auto id = enqueue(server, "to be echoed");
    until(server, id, "done");
    const auto result = server.get("/jobs/" + id + "/result");
    CHECK(result.body.starts_with("POST "));
    CHECK(contains(result.body, "to be echoed"));
}

TEST_CASE("jobs are done by peers of an upstream, until one says 2xx", "[integration][jobs]") {
    const Origin origin([](const Asked& asked, Origin::Talk& talk) {
        const bool first = asked.field("Job-Attempt") == "1";
        talk.send(first ? "HTTP/1.1 503 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
                        : "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nsent");
    });
    const Site site("");
    auto setup = site.setup();
    setup.routes =
        "[route in]\npath = /in\nenqueue = q\n[route jobs]\npath = /jobs/\njobs = on\nallow = all\n"
        "[store]\nurl = sqlite:@folder@/store/jobs.db\n[upstream u]\npeer = " +
        origin.address() + "\n[queue q]\nupstream = u /work?a=b\n";
    const Server server(site.folder, setup);
    const auto id = enqueue(server, "hello");
    const auto job = until(server, id, "done");
    CHECK(job["attempts"] == 2);
    const auto asked = origin.asked();
    REQUIRE(asked.size() == 2);
    CHECK(asked[0].line() == "POST /work?a=b HTTP/1.1");
    CHECK(asked[0].payload == "hello");
    CHECK(asked[1].field("Idempotency-Key") == id);
    CHECK(asked[1].field("Job-Id") == id);
    CHECK(server.get("/jobs/" + id + "/result").body == "sent");
}
