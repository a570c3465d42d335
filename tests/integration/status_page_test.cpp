// What a route with `status = on` says of the workers of several generations.
#include <nlohmann/json.hpp>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

TEST_CASE("the status page shows the workers of all generations, the newest first",
          "[integration][metrics]") {
    const TemporaryFolder folder;
    const Server server(folder, {.execution = just_workers(2),
                                 .routes = "[route status]\npath = = /status\nstatus = on\n"
                                           "[route any]\npath = /\nrespond = 200 \"hello\"\n"});
    Client held = server.connect();  // keeps its worker from leaving
    held.send("POST /held HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    REQUIRE(held.response().status == 100);
    REQUIRE(server.command({"-s", "reload"}).status == 0);

    nlohmann::json workers;
    eventually("one of the old workers is left", [&] {
        workers = nlohmann::json::parse(server.get("/status").body).at("workers");
        return workers.size() == 3;
    });
    CHECK(workers[0].at("generation") == 2);
    CHECK(workers[0].at("slot") == 0);
    CHECK(workers[0].at("state") == "ready");
    CHECK(workers[1].at("generation") == 2);
    CHECK(workers[1].at("slot") == 1);
    CHECK(workers[2].at("generation") == 1);
    CHECK(workers[2].at("state") == "draining");
    CHECK(workers[2].at("connections") == 1);
    CHECK(workers[2].at("age_seconds") >= workers[0].at("age_seconds"));

    held.send("12345");
    CHECK(held.response().body == "hello");
    held.close();
    eventually("it has left",
               [&] { return nlohmann::json::parse(server.get("/status").body).at("workers").size() == 2; });

    const auto page = server.get("/status", "Accept: text/html\r\n");
    CHECK(page.field("Content-Type") == "text/html; charset=utf-8");
}
