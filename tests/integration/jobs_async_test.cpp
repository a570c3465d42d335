// Requests that become jobs (`async = QUEUE`, RFC 7240) on the real server: on programs, on PHP, and on peers
// of an upstream.
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/origin.h"
#include "tests/integration/server.h"

using namespace integration;
using nlohmann::json;

namespace {

const std::string async = "Prefer: respond-async\r\n";

/// A place for the store, and for what programs write.
struct Site {
    Site() {
        for (const char* name : {"out", "store"}) {
            ::mkdir(folder.path(name).c_str(), 0777);
            ::chmod(folder.path(name).c_str(), 0777);
        }
    }
    /// A script that says what it was asked; with `slow` in its query, once there is a file `out/go`.
    Setup echo(const std::string& route = "", const std::string& queue = "") {
        const auto path = folder.write("work.sh", "#!/bin/sh\nout=" + folder.path("out") + R"(
body=$(cat)
case "$QUERY_STRING" in *slow*) while [ ! -e $out/go ]; do sleep 0.05; done;; esac
text="$REQUEST_METHOD $REQUEST_URI asked=$HTTP_X_ASKED prefer=$HTTP_PREFER job=${JOB_ID:+yes} "
text="${text}length=$CONTENT_LENGTH from=$REMOTE_ADDR key=$HTTP_IDEMPOTENCY_KEY $body"
printf 'Status: 201\nContent-Type: text/plain\nX-Mine: yes\nX-Hidden: yes\nSet-Cookie: a=b\n'
printf 'Location: /made/7\nContent-Length: %d\n\n%s' ${#text} "$text"
)");
        ::chmod(path.c_str(), 0755);
        return with(
            "[pool p]\nrun = cgi @folder@/work.sh\nsize = 2\n[route work]\npath = /work/\npool = p\n"
            "hide_header = X-Hidden\nasync = q\n" +
            route + "[queue q]\npool = p\n" + queue);
    }
    static Setup with(const std::string& lines) {
        return {.routes =
                    "[store]\nurl = sqlite:@folder@/store/jobs.db\n"
                    "[route jobs]\npath = /jobs/\njobs = on\nallow = all\n" +
                    lines};
    }
    TemporaryFolder folder;
};

std::string ask(const std::string& method, const std::string& target, const std::string& body,
                const std::string& lines = "") {
    return method + " " + target +
           " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + lines +
           "\r\n" + body;
}

json done(const Server& server, const Response& accepted) {
    CAPTURE(accepted.head, accepted.body);
    REQUIRE(accepted.status == 202);
    json job;
    eventually("its job is over", [&] {
        job = json::parse(server.get(accepted.field("Location")).body);
        return job["state"] == "done" || job["state"] == "dead";
    });
    return job;
}

}  // namespace

TEST_CASE("a request that need not be answered now is 202, and the same request is a job",
          "[integration][jobs][async]") {
    Site site;
    const Server server(site.folder, site.echo());
    const std::string asked = "X-Asked: this\r\nIdempotency-Key: \"k\"\r\n";
    const auto now = server.ask(ask("PUT", "/work/7?x=y", "text", asked));
    CHECK(now.status == 201);
    CHECK(now.body == "PUT /work/7?x=y asked=this prefer= job= length=4 from=127.0.0.1 key=\"k\" text");
    CHECK_FALSE(now.has("Preference-Applied"));

    const auto later = server.ask(ask("PUT", "/work/7?x=y", "text", asked + async));
    const auto job = done(server, later);
    CHECK(later.field("Preference-Applied") == "respond-async");
    CHECK(later.field("Retry-After") == "1");
    CHECK(later.field("Location") == "/jobs/" + json::parse(later.body)["id"].get<std::string>());
    CHECK(job["state"] == "done");
    CHECK(job["result"]["status"] == 201);
    CHECK(job["result"]["type"] == "text/plain");
    CHECK(job["result"]["fields"]["X-Mine"] == "yes");
    CHECK(job["result"]["fields"]["Location"] == "/made/7");
    CHECK_FALSE(job["result"]["fields"].contains("Set-Cookie"));
    CHECK_FALSE(job["result"]["fields"].contains("X-Hidden"));
    const auto result = server.get(later.field("Location") + "/result");
    CHECK(result.status == 200);
    CHECK(result.field("Job-Result-Status") == "201");
    CHECK(result.field("Content-Type") == "text/plain");
    CHECK(result.body == "PUT /work/7?x=y asked=this prefer= job=yes length=4 from=127.0.0.1 key=\"k\" text");
}

TEST_CASE("the answer itself comes where it is there in the time that its client would wait",
          "[integration][jobs][async]") {
    Site site;
    const Server server(site.folder, site.echo());
    const auto soon = server.ask(ask("POST", "/work/", "text", "Prefer: wait=30, respond-async\r\n"));
    CAPTURE(soon.head, soon.body);
    CHECK(soon.status == 201);
    CHECK(soon.field("X-Mine") == "yes");
    CHECK(soon.field("Location") == "/made/7");
    CHECK(soon.field("Preference-Applied") == "respond-async, wait=30");
    CHECK(soon.field("Vary") == "Prefer");
    CHECK(contains(soon.body, "POST /work/ asked= prefer= job=yes length=4"));
    CHECK(contains(soon.body, "key=" + soon.field("Job-Id") + " text"));
    CHECK(json::parse(server.get("/jobs/" + soon.field("Job-Id")).body)["state"] == "done");

    const auto slow =
        server.ask(ask("GET", "/work/?slow", "", "Prefer: respond-async\r\nPrefer: wait=1\r\n"));
    CHECK(slow.status == 202);
    CHECK(slow.field("Preference-Applied") == "respond-async, wait=1");
    CHECK(json::parse(slow.body)["state"] == "running");
    site.folder.write("out/go", "");
    CHECK(done(server, slow)["result"]["status"] == 201);
    CHECK(contains(server.get(slow.field("Location") + "/result").body, "GET /work/?slow "));
}

TEST_CASE("one key is one job, whoever asks again, and another request with it is 422",
          "[integration][jobs][async]") {
    Site site;
    const Server server(site.folder, site.echo());
    const std::string key = "Idempotency-Key: \"k\"\r\n" + async;
    const auto first = server.ask(ask("POST", "/work/a", "text", key));
    REQUIRE(first.status == 202);
    const auto again = server.ask(ask("POST", "/work/a", "text", key));
    CHECK(again.status == 202);
    CHECK(again.field("Location") == first.field("Location"));
    CHECK(server.ask(ask("POST", "/work/a", "other", key)).status == 422);
    CHECK(server.ask(ask("POST", "/work/b", "text", key)).status == 422);
    CHECK(server.ask(ask("PUT", "/work/a", "text", key)).status == 422);
    done(server, first);
    const auto late = server.ask(ask("POST", "/work/a", "text", "Prefer: wait=30\r\n" + key));
    CHECK(late.status == 201);
    CHECK("/jobs/" + late.field("Job-Id") == first.field("Location"));
}

TEST_CASE("what one client is answered is not told to another who names the same key",
          "[integration][jobs][async]") {
    Site site;
    auto setup = site.echo();
    setup.routes += "[route open]\npath = /open/\npool = p\nasync = q\nasync_credentials = on\n";
    const Server server(site.folder, setup);
    const std::string wait = "Prefer: respond-async, wait=30\r\n", key = wait + "Idempotency-Key: \"1\"\r\n";
    REQUIRE(server.ask(ask("GET", "/open/", "", key + "Cookie: who=a\r\n")).status == 201);
    CHECK(server.ask(ask("GET", "/open/", "", key + "Cookie: who=a\r\n")).status == 201);
    CHECK(server.ask(ask("GET", "/open/", "", key + "Cookie: who=b\r\n")).status == 422);
    CHECK(server.ask(ask("GET", "/open/", "", key + "Authorization: who=a\r\n")).status == 422);
    CHECK(server.ask(ask("GET", "/open/", "", key)).status == 422);
    CHECK(server.ask("GET /open/ HTTP/1.1\r\nHost: other\r\nCookie: who=a\r\n" + key + "\r\n").status == 422);

    const auto slow = server.ask(ask("GET", "/work/?slow", "", async + "Job-Unique: x\r\n"));
    REQUIRE(slow.status == 202);
    const auto other = server.ask(ask("GET", "/work/?slow&b", "", wait + "Job-Unique: x\r\n"));
    CHECK(other.status == 202);
    CHECK(other.field("Location") == slow.field("Location"));
    site.folder.write("out/go", "");
    done(server, slow);
}

TEST_CASE("what cannot be kept as it is, or may not, is answered as without the preference",
          "[integration][jobs][async]") {
    Site site;
    auto setup = site.echo("", "job_size_max = 10\n");
    setup.routes +=
        "[route open]\npath = /open/\npool = p\nasync = q\nasync_credentials = on\n"
        "[route never]\npath = /never/\npool = p\n";
    const Server server(site.folder, setup);
    CHECK(server.ask(ask("POST", "/work/", "12345678901", async)).status == 201);
    CHECK(server.ask(ask("POST", "/work/", "x", async + "Cookie: a=b\r\n")).status == 201);
    CHECK(server.ask(ask("POST", "/work/", "x", async + "Authorization: Basic eDp5\r\n")).status == 201);
    CHECK(server.ask(ask("POST", "/never/", "x", async)).status == 201);
    CHECK(server.ask(ask("POST", "/work/", "x", "Prefer: wait=3\r\n")).status == 201);
    CHECK(server.ask(ask("POST", "/work/", "x", async + "X-Long: " + std::string(7'000, 'x') + "\r\n"))
              .status == 202);
    Client head = server.connect();
    head.send("HEAD /work/ HTTP/1.1\r\nHost: test\r\n" + async + "\r\n");
    CHECK(head.response(Body::none).status == 201);
    const auto open = server.ask(ask("POST", "/open/", "x", async + "Cookie: a=b\r\n"));
    CHECK(done(server, open)["state"] == "done");
    CHECK(server.ask(ask("POST", "/work/", "x", async + "Job-Delay: soon\r\n")).status == 400);
    Client chunks = server.connect();
    chunks.send("POST /work/ HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n" + async +
                "\r\nb\r\n12345678901\r\n0\r\n\r\n");
    CHECK(chunks.response().status == 413);
}

TEST_CASE("a request that was accepted is done though its keeper dies, and its fields count",
          "[integration][jobs][async]") {
    Site site;
    const Server server(site.folder, site.echo());
    CHECK(server.ask(post("/jobs/queues/q/pause", "")).status == 200);
    const auto accepted = server.ask(ask("POST", "/work/", "text", async + "Job-Priority: 7\r\n"));
    REQUIRE(accepted.status == 202);
    for (const pid_t pid : server.processes())
        if (contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: keeper"))
            ::kill(pid, SIGKILL);
    CHECK(server.ask(post("/jobs/queues/q/resume", "")).status == 200);
    const auto job = done(server, accepted);
    CHECK(job["result"]["status"] == 201);
    CHECK(job["priority"] == 7);
}

TEST_CASE("a page of PHP is a job, with its status and what it was asked",
          "[integration][jobs][async][php]") {
    Site site;
    std::filesystem::copy("tests/integration/php", site.folder.path("app"),
                          std::filesystem::copy_options::recursive);
    const Server server(
        site.folder,
        Site::with("[pool php]\nrun = fastcgi php-cgi\nsize = 2\n[queue q]\npool = php\n[route pages]\n"
                   "path = /\npool = php\nscript_root = @folder@/app\nasync = q\n"));
    const auto soon =
        server.ask(ask("PUT", "/server.php/more?a=b", "text", "Prefer: respond-async, wait=30\r\n"));
    CAPTURE(soon.head, soon.body, server.log());
    REQUIRE(soon.status == 200);
    const auto told = json::parse(soon.body);
    CHECK(told["server"]["REQUEST_METHOD"] == "PUT");
    CHECK(told["server"]["REQUEST_URI"] == "/server.php/more?a=b");
    CHECK(told["server"]["PATH_INFO"] == "/more");
    CHECK(told["server"]["JOB_ID"] == soon.field("Job-Id"));
    CHECK(told["get"]["a"] == "b");
    CHECK(told["body"] == "text");
    const auto later = server.get("/answer.php?status=404", async);
    const auto job = done(server, later);
    CHECK(job["state"] == "done");
    CHECK(job["result"]["status"] == 404);
    CHECK(server.get(later.field("Location") + "/result").body == "answered");
    CHECK(server.get("/none.php", async).status == 404);  // there is nothing to be done later
    const auto same =
        server.get("/answer.php?etag=7", "If-None-Match: \"7\"\r\nPrefer: respond-async, wait=30\r\n");
    CHECK(same.status == 304);
}

TEST_CASE("a request to an upstream is a job for its peers, until one of them answers",
          "[integration][jobs][async]") {
    const Origin origin([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target().starts_with("/fails"))
            talk.send(answer("no", "", 500));
        else if (asked.field("Job-Attempt") == "1")
            talk.send(answer("", "Retry-After: 0\r\n", 503));
        else
            talk.send(answer("made", "X-Mine: yes\r\n", 201));
    });
    Site site;
    const Server server(
        site.folder,
        Site::with("[upstream u]\npeer = " + origin.address() +
                   "\n[queue q]\nupstream = u /plain\nbackoff = 1ms..10ms\nattempts = 2\n[route all]\n"
                   "path = /\nproxy = u\nset_header = X-Set: here\nasync = q\n"));
    const auto soon = server.ask(
        ask("PATCH", "/things/7?a=b", "text",
            "Prefer: respond-async, wait=30\r\nJob-Id: mine\r\nX-Asked: this\r\nConnection: close, X-Hop\r\n"
            "X-Hop: 1\r\nContent-Type: text/x\r\n"));
    CAPTURE(soon.head, soon.body);
    REQUIRE(soon.status == 201);
    CHECK(soon.body == "made");
    CHECK(soon.field("X-Mine") == "yes");
    const auto all = origin.asked();
    REQUIRE(all.size() == 2);
    for (const auto& asked : all) {
        CAPTURE(asked.head);
        CHECK(asked.line() == "PATCH /things/7?a=b HTTP/1.1");
        CHECK(asked.payload == "text");
        CHECK(asked.field("Content-Length") == "4");
        CHECK(asked.field("Content-Type") == "text/x");
        CHECK(asked.field("X-Asked") == "this");
        CHECK(asked.field("X-Set") == "here");
        CHECK(asked.field("X-Forwarded-For") == "127.0.0.1");
        CHECK(asked.field("Job-Id") == soon.field("Job-Id"));
        CHECK(asked.count("Job-Id") == 1);
        CHECK(asked.field("Idempotency-Key") == soon.field("Job-Id"));
        CHECK_FALSE(asked.has("Prefer"));
        CHECK_FALSE(asked.has("X-Hop"));
    }
    CHECK(all[1].field("Job-Attempt") == "2");

    const auto fails = server.get("/fails", "Prefer: respond-async, wait=30\r\n");
    CHECK(fails.status == 502);
    CHECK(contains(fails.body, "its job is dead: failed in the last of 2 attempts: status 500: no"));
    CHECK(json::parse(server.get(fails.field("Location")).body)["state"] == "dead");
    const auto now = server.get("/now");
    CHECK(now.status == 201);
    CHECK_FALSE(origin.asked().back().has("Job-Id"));
}
