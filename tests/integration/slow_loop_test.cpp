// A route that really blocks its loop: the log names it, and the metrics know of it.
#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

TEST_CASE("a request that blocks its loop longer than slow_loop is named", "[integration][metrics][inline]") {
    const TemporaryFolder folder;
    // To list so many takes milliseconds.
    for (int count = 0; count < 2000; ++count) folder.write("many/" + std::to_string(count), "");
    const Server server(folder, {.reeve = "slow_loop = 1ms\n",
                                 .execution = "workers = 1\n",
                                 .routes = "[route quick]\npath = /quick\nrespond = 200 \"quick\"\n"
                                           "[route listing]\npath = /many/\nfiles = @folder@\n"
                                           "autoindex = html\nindex = off\n"
                                           "[route metrics]\npath = = /metrics\nmetrics = on\n"});
    eventually("the listing is named", [&] {  // other slow turns right before it may have had the line
        Client client = server.connect();
        client.send(get("/quick") + get("/many/") + get("/quick"));
        for (int count = 0; count < 3; ++count) CHECK(client.response().status == 200);
        return contains(server.log(), R"(route="listing" request="GET /many/")");
    });
    CHECK(contains(server.log(), "warn worker/0"));
    CHECK_FALSE(contains(server.get("/metrics").body, "\nreeve_slow_turns_total 0\n"));
}
