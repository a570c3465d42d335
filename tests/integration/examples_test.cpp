// docs/examples on the real server: each does what its first lines promise.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using namespace std::chrono_literals;

namespace {

/// A copy of them all, where the workers' user can read it, and the configuration but for its server.
struct Examples {
    Examples() {
        const char* built = std::getenv("EXAMPLES");
        REQUIRE(built != nullptr);
        for (const auto& file : std::filesystem::directory_iterator(built)) {
            const auto copy = folder.path(file.path().filename());
            std::filesystem::copy_file(file.path(), copy);
            ::chmod(copy.c_str(), 0755);
        }
        setup.execution = "workers = 1\n";
        setup.routes = contents(folder.path("reeve.ini"));
        const auto server = setup.routes.find("[server examples]");
        setup.routes.erase(server, setup.routes.find("\n\n", server) - server);
    }
    TemporaryFolder folder;
    Setup setup;
};

constexpr const char* last = "Connection: close\r\n";

/// The body with its framing, for programs tell no length.
std::string said(const Server& server, const std::string& request) {
    auto client = server.connect();
    client.send(request);
    CHECK(client.head().status == 200);
    return client.rest();
}

}  // namespace

TEST_CASE("the examples work", "[integration][examples][module][pool]") {
    const Examples examples;
    const Server server(examples.folder, examples.setup);
    CHECK(server.get("/report?100").body == "root has 25 primes\n");
    CHECK(server.get("/report?x").status == 500);
    CHECK(server.ask(post("/sha256", "abc")).body ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
    CHECK(server.ask(post("/sha256", std::string(1'000'000, 'a'))).body ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0\n");
    CHECK(contains(said(server, get("/php/hello.php?name=you", last)), "hello you from PHP\n"));
    CHECK(contains(said(server, get("/python", last)),
                   "hello 127.0.0.1 from Python, you asked GET /python, with 0 bytes\n"));
    CHECK(contains(said(server, post("/python", "12345", last)),
                   "hello 127.0.0.1 from Python, you asked POST /python, with 5 bytes\n"));
    CHECK(contains(said(server, get("/shell?x", last)), "hello 127.0.0.1, you asked GET /shell?x\n"));
}

TEST_CASE("the example jobs are done, and those that make no sense are not tried again",
          "[integration][examples][jobs][php]") {
    const Examples examples;
    const Server server(examples.folder, examples.setup);
    const auto end_of = [&](const std::string& path, const std::string& body) {
        const auto accepted = server.ask(post(path, body));
        CAPTURE(accepted.head, accepted.body, server.log());
        REQUIRE(accepted.status == 202);
        const auto place = accepted.field("Location");
        auto job = nlohmann::json::parse(server.get(place + "?wait=30").body);
        job["said"] = server.get(place + "/result").body;
        return job;
    };
    auto job = end_of("/mail", "To: you@example.org\nSubject: hello\n\nhello\n");
    CHECK(job["state"] == "done");
    CHECK(job["progress"] == "attempt 1 of 5");
    CHECK(job["said"] == "sent as " + job["id"].get<std::string>() + "\n");
    job = end_of("/mail", "nobody\n");
    CHECK(job["state"] == "dead");
    CHECK(job["attempts"] == 1);

    const std::string white(3, '\xff'), black(3, '\0');
    job =
        end_of("/pictures", "P6\n4 2\n255\n" + white + white + black + black + white + white + black + white);
    CHECK(job["state"] == "done");
    CHECK(job["progress"] == "0 of 1");
    CHECK(job["result"]["type"] == "image/x-portable-pixmap");
    CHECK(job["said"] == "P6\n2 1\n255\n" + white + std::string(3, '\x3f'));
    job = end_of("/pictures", "GIF89a");
    CHECK(job["state"] == "dead");
    CHECK(job["attempts"] == 1);
    CHECK(contains(job["reason"].dump(), "that is no PPM"));
    CHECK(contains(said(server, get("/php/hello.php?name=you", last)), "hello you"));  // the same processes

    const auto ordered = server.get("/pi?20");
    CHECK(ordered.status == 202);
    const auto place = ordered.field("Location");
    job = nlohmann::json::parse(server.get(place + "?wait=30").body);
    CHECK(job["state"] == "done");
    CHECK(job["progress"] == "20 of 20");
    CHECK(server.get(place + "/result").body == "3.1415926535897932384\n");
    CHECK(server.get("/pi?20").field("Location") == place);
    CHECK(server.get("/pi?x").status == 400);

    CHECK(contains(said(server, post("/send", "To: you@example.org\n\nhello\n", last)), "sent as"));
    const auto later =
        server.ask(post("/send", "To: you@example.org\n\nhello\n", "Prefer: respond-async\r\n"));
    REQUIRE(later.status == 202);
    job = nlohmann::json::parse(server.get(later.field("Location") + "?wait=30").body);
    CHECK(job["state"] == "done");
    CHECK(contains(server.get("/jobs/schedules").body, "\"digest\""));
}

TEST_CASE("three tiers at once take about the time of one, and the loop does not wait",
          "[integration][examples][module][pool][concurrent]") {
    Examples examples;
    examples.setup.reeve = "slow_loop = 100ms\n";
    const Server server(examples.folder, examples.setup);
    CHECK(server.get("/report?100").status == 200);  // all is there
    const auto timed = [&](std::size_t number) {
        std::vector<Client> clients;
        for (std::size_t i = 0; i < number; ++i) clients.push_back(server.connect());
        const auto begun = Clock::now();
        for (auto& client : clients) client.send(get("/report?300000"));
        for (auto& client : clients) CHECK(client.response().body == "root has 25997 primes\n");
        return Clock::now() - begun;
    };
    eventually("eight take less than four times as long as one", [&] {  // which a busy machine may not show
        const auto one = timed(1);                                      // at once
        return timed(8) < 4 * one;
    });
    CHECK_FALSE(contains(server.log(), "route=\"report\""));  // nor was it blocked
}
