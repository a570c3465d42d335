// What Prometheus is told, compared with what clients did, and checked by its own tool.
#include <signal.h>

#include <cstdlib>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

constexpr const char* routes =
    "[route hello]\npath = /hello\nrespond = 200 \"hello\"\n"
    "[route gone]\npath = /gone\nrespond = 410 \"gone\"\n"
    "[route metrics]\npath = = /metrics\nmetrics = on\n";

/// The number behind the sample; -1 when there is none.
double sample(const std::string& metrics, const std::string& name) {
    const auto at = ("\n" + metrics).find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::strtod(metrics.c_str() + at + name.size() + 1, nullptr);
}

}  // namespace

TEST_CASE("metrics count what clients asked, by route and class", "[integration][metrics]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes});
    for (int count = 0; count < 7; ++count) CHECK(server.get("/hello").status == 200);
    for (int count = 0; count < 3; ++count) CHECK(server.get("/gone").status == 410);
    CHECK(server.get("/nowhere").status == 404);
    // A worker counts a request when it is over, which the client knows a moment earlier.
    eventually("all are counted", [&] {
        const auto text = server.get("/metrics").body;
        return sample(text, R"(reeve_requests_total{route="hello",status="2xx"})") == 7 &&
               sample(text, R"(reeve_requests_total{route="gone",status="4xx"})") == 3 &&
               sample(text, R"(reeve_requests_total{route="",status="4xx"})") == 1;
    });
    const auto text = server.get("/metrics").body;
    CHECK(sample(text, R"(reeve_request_duration_seconds_count{route="hello"})") == 7);
    CHECK(sample(text, R"(reeve_workers{generation="1",state="ready"})") == 2);
    CHECK(sample(text, "reeve_generation") == 1);
    CHECK(sample(text, "reeve_loop_turn_seconds_count") > 0);
}

TEST_CASE("promtool finds nothing to complain about in the metrics", "[integration][metrics]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes});
    CHECK(server.get("/hello").status == 200);
    const auto response = server.get("/metrics");
    CHECK(response.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
    folder.write("metrics", response.body);
    const char* promtool = std::getenv("PROMTOOL");
    REQUIRE(promtool != nullptr);
    const auto check = std::string(promtool) + " check metrics < " + folder.path("metrics");
    const auto checked = run({"sh", "-c", check});
    INFO(checked.output << checked.errors);
    CHECK(checked.status == 0);
    CHECK(checked.errors.empty());
    folder.write("metrics", "no metrics {\n");
    CHECK(run({"sh", "-c", check}).status != 0);
}

TEST_CASE("counters go on over a reload, a crash and an upgrade", "[integration][metrics]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes});
    const auto counted = [&] {
        return sample(server.get("/metrics").body, R"(reeve_requests_total{route="hello",status="2xx"})");
    };
    double sent = 0;
    const auto ask = [&] {
        for (int count = 0; count < 5; ++count) CHECK(server.get("/hello").status == 200);
        sent += 5;
        eventually("they are counted", [&] { return counted() == sent; });
    };
    ask();
    CHECK(server.command({"-s", "reload"}).status == 0);
    ask();
    const auto victim = server.status().workers[0].pid;
    ::kill(victim, SIGKILL);
    eventually("it is replaced", [&] {
        const auto now = server.status().workers[0];
        return now.pid != victim && now.state == "ready";
    });
    ask();
    CHECK(sample(server.get("/metrics").body, R"(reeve_worker_restarts_total{cause="signal"})") == 1);
    CHECK(sample(server.get("/metrics").body, R"(reeve_reloads_total{result="success"})") == 1);
    CHECK(server.command({"-s", "upgrade"}).status == 0);
    ask();
    CHECK(sample(server.get("/metrics").body, R"(reeve_upgrades_total{result="success"})") == 1);
}
