// What was loaded once is everybody's, under each model and over all that happens to a server.
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/load.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

/// As many routes as take some memory, and one that tells who answers.
std::string many_routes() {
    std::string text = "[route who]\npath = = /who\nrespond = 200 \"$pid\"\n";
    for (int number = 0; number < 4000; ++number)
        text += "[route r" + std::to_string(number) + "]\npath = /some/where/" + std::to_string(number) +
                "/\nrespond = 200 \"this is the answer of number " + std::to_string(number) + "\"\n";
    return text;
}

Setup with(const std::string& execution) { return {.execution = execution, .routes = many_routes()}; }

nlohmann::json status(const Server& server) {
    return nlohmann::json::parse(server.command({"status", "--json"}).output);
}

pid_t preloader(const Server& server) {
    const auto now = status(server);
    return now.at("preloaders").empty() ? 0 : now.at("preloaders").at(0).at("pid").get<pid_t>();
}

/// One that nobody has collected does not.
bool lives(pid_t pid) {
    const auto stat = contents("/proc/" + std::to_string(pid) + "/stat");
    return !stat.empty() && !contains(stat, ") Z ");
}

/// The mean of all workers.
double private_bytes(const Server& server) {
    double sum = 0;
    int known = 0;
    const auto now = status(server);
    for (const auto& worker : now.at("workers")) {
        if (worker.at("private_bytes").is_null()) continue;
        sum += worker.at("private_bytes").get<double>();
        ++known;
    }
    REQUIRE(known > 0);
    return sum / known;
}

Client asking(const Server& server) {
    Client client = server.connect();
    client.send(get("/who"));
    CHECK(client.response().status == 200);
    return client;
}

}  // namespace

TEST_CASE("a process for each client has what was preloaded, and goes when the client has gone",
          "[integration][preload][knobs]") {
    const std::string process =
        "model = process\nworkers = 1\nspares_min = 1\nspares_max = 1\nprocesses_max = 6\n";
    const auto grown = [](const Server& server) {
        std::vector<Client> clients;
        for (int count = 0; count < 6; ++count) clients.push_back(asking(server));
        CHECK(server.status().workers.size() == 6);
        const double bytes = private_bytes(server);
        clients.clear();
        eventually("there are no more than it takes", [&] { return server.status().workers.size() <= 2; });
        return bytes;
    };
    const TemporaryFolder folder, other;
    Server shared(folder, with(process + "preload = on\n"));
    const double with_preload = grown(shared);
    CHECK(count(shared.log(), "forked_by=preloader") >= 6);
    CHECK(count(shared.log(), "worker started") == count(shared.log(), "forked_by=preloader"));
    const pid_t pid = preloader(shared);
    CHECK(shared.stop() == 0);
    CHECK_FALSE(lives(pid));
    Server apart(other, with(process));
    const double without = grown(apart);
    CAPTURE(with_preload, without);
    CHECK(with_preload < without);
}

TEST_CASE("a worker that was preloaded has given up as much as any", "[integration][preload]") {
    const TemporaryFolder folder;
    const Server server(folder, with("workers = 2\npreload = on\n"));
    for (const auto& worker : server.status().workers) {
        const auto text = contents("/proc/" + std::to_string(worker.pid) + "/status");
        CHECK(contains(text, "NoNewPrivs:\t1\n"));
        if (!sanitized()) CHECK(contains(text, "Seccomp:\t2\n"));
        CHECK(contains(text, "PPid:\t" + std::to_string(server.pid()) + "\n"));
        CHECK(contains(text, "CapEff:\t0000000000000000\n"));
        if (::getuid() == 0) CHECK_FALSE(contains(text, "Uid:\t0\t"));
    }
}

TEST_CASE("with preload no request is lost, whatever becomes of preloaders",
          "[integration][preload][reload]") {
    const TemporaryFolder folder;
    Server server(folder, with("workers = 2\npreload = on\n"));
    Load load(server.port(), 2, 2, "/who");
    const auto answered_more = [&] {
        const auto before = load.answered();
        eventually("there are answers", [&] { return load.answered() > before + 20; });
    };
    for (int round = 0; round < 2; ++round) {
        const pid_t before = preloader(server);
        REQUIRE(server.command({"-s", "reload"}).status == 0);
        eventually("the old one has left", [&] { return !lives(before); });
        answered_more();
    }
    REQUIRE(server.command({"worker", "restart", "0"}).status == 0);
    answered_more();
    const pid_t killed = preloader(server);
    ::kill(killed, SIGKILL);
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    answered_more();
    ::kill(preloader(server), SIGSTOP);
    REQUIRE(server.command({"worker", "restart", "1"}).status == 0);
    eventually("the master forks", [&] { return contains(server.log(), "does not fork in time"); });
    REQUIRE(server.command({"-s", "upgrade"}).status == 0);
    eventually("the old master has left", [&] { return !lives(server.pid()); });
    answered_more();
    CHECK(preloader(server) != 0);
    CHECK(load.finish() == "");
    const pid_t last = preloader(server);
    REQUIRE(server.command({"-s", "quit"}).status == 0);
    eventually("all have left", [&] { return !lives(last) && server.processes().empty(); });
}
