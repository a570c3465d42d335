// What Prometheus is told, compared with what clients did, and checked by its own tool.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

constexpr const char* routes =
    "[route hello]\npath = /hello\nrespond = 200 \"hello\"\n"
    "[route gone]\npath = /gone\nrespond = 410 \"gone\"\n"
    "[route who]\npath = = /who\nrespond = 200 \"$worker\"\n"
    "[route metrics]\npath = = /metrics\nmetrics = on\n";

/// The number behind the sample; -1 when there is none.
double sample(const std::string& metrics, const std::string& name) {
    const auto at = ("\n" + metrics).find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::strtod(metrics.c_str() + at + name.size() + 1, nullptr);
}

/// Those of its lines that say what one of `names` does.
std::string lines_of(const std::string& metrics, const std::vector<std::string>& names) {
    std::istringstream lines(metrics);
    std::string found;
    for (std::string line; std::getline(lines, line);)
        if (std::any_of(names.begin(), names.end(),
                        [&](const std::string& name) { return contains(line, name); }))
            found += line + "\n";
    return found;
}

/// A kept connection to each of the two workers.
std::vector<Client> one_to_each(const Server& server) {
    std::map<std::string, Client> clients;
    eventually("both workers have answered", [&] {
        Client client = server.connect();
        client.send(get("/who"));
        clients.try_emplace(client.response().body, std::move(client));
        return clients.size() == 2;
    });
    std::vector<Client> all;
    for (auto& [worker, client] : clients) all.push_back(std::move(client));
    return all;
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
    for (const auto& [route, asked] : {std::pair("hello", 7), {"gone", 3}, {"", 1}}) {
        const auto label = std::string("{route=\"") + route + "\"";
        CHECK(sample(text, "reeve_request_duration_seconds_count" + label + "}") == asked);
        CHECK(sample(text, "reeve_request_duration_seconds_bucket" + label + ",le=\"+Inf\"}") == asked);
        CHECK(sample(text, "reeve_request_duration_seconds_sum" + label + "}") > 0);
    }
    CHECK(sample(text, R"(reeve_requests_total{route="hello",status="4xx"})") == 0);
    eventually("those whose client has gone have gone, too", [&] {
        return sample(server.get("/metrics").body, R"(reeve_workers{generation="1",state="ready"})") == 2;
    });
    CHECK(sample(text, "reeve_generation") == 1);
    CHECK(sample(text, "reeve_loop_turn_seconds_count") > 0);
}

TEST_CASE("workers agree on the metrics", "[integration][metrics]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes});
    auto clients = one_to_each(server);
    for (Client& client : clients)
        for (int count = 0; count < 5; ++count) {
            client.send(get("/hello"));
            CHECK(client.response().status == 200);
        }
    eventually("all are counted", [&] {
        return sample(server.get("/metrics").body, R"(reeve_requests_total{route="hello",status="2xx"})") ==
               10;
    });
    std::vector<std::string> told;
    eventually("they agree", [&] {  // under `process` a spare one may become ready between the two answers
        told.clear();
        for (Client& client : clients) {
            client.send(get("/metrics"));
            told.push_back(
                lines_of(client.response().body, {"route=\"hello\"", "route=\"gone\"", "reeve_workers",
                                                  "reeve_start_time", "reeve_generation ", "# "}));
        }
        return told[0] == told[1];
    });
    CHECK(contains(told[0], "reeve_start_time_seconds "));
    CHECK(contains(told[0], R"(reeve_requests_total{route="hello",status="2xx"} 10)"));
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
