// Clients that are slow, many, or silent; and a worker that has no descriptors left.
#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

const std::string hello =
    "[route hello]\npath = /\nrespond = 200 \"hello\"\n"
    "[route files]\npath = /files/\nfiles = @folder@/www\nstrip_prefix = on\n";

std::uint64_t connections(const Server& server) {
    std::uint64_t all = 0;
    for (const WorkerStatus& worker : server.status().workers) all += worker.connections;
    return all;
}

}  // namespace

TEST_CASE("a head that does not come in time is answered 408", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "header_timeout = 300ms\n", .routes = hello});
    for (const std::string begun : {"G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: test\r\n\r"}) {
        CAPTURE(begun);
        Client client = server.connect();
        client.send(begun);
        const Response response = client.response();
        CHECK(response.status == 408);
        CHECK(response.field("Connection") == "close");
        CHECK(client.ends());
    }
    Client later = server.connect();  // the second request of a connection is no better
    later.send(get("/") + "GET / HT");
    CHECK(later.response().status == 200);
    CHECK(later.response().status == 408);
    CHECK(later.ends());
}

TEST_CASE("a head that trickles gains no time", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "header_timeout = 1s\n", .routes = hello});
    Client client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX: ");
    eventually("the server has had enough", [&] {
        client.send("x");
        return client.heard(50);
    });
    CHECK(client.response().status == 408);
}

TEST_CASE("a client that says nothing is let go without a word", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "header_timeout = 300ms\n", .routes = hello});
    Client client = server.connect();
    CHECK(client.ends());
}

TEST_CASE("a body that does not come in time is answered 408", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "body_timeout = 300ms\n", .routes = hello});
    for (const std::string framing :
         {"Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"}) {
        CAPTURE(framing);
        Client client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: test\r\n" + framing);
        CHECK(client.response().status == 408);
        CHECK(client.ends());
    }
}

TEST_CASE("a body that keeps coming has all the time it needs", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "body_timeout = 2s\nheader_timeout = 300ms\n", .routes = hello});
    Client client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\n");
    for (int i = 0; i < 6; ++i) {
        CHECK_FALSE(client.heard(200));  // longer in all than a head may take
        client.send("x");
    }
    CHECK(client.response().status == 200);
}

TEST_CASE("a client that takes nothing is let go", "[integration][limits]") {
    const TemporaryFolder folder;
    const std::string large(24 << 20, 'x');
    folder.write("www/large", large);
    const Server server(folder, {.server = "send_timeout = 500ms\n", .routes = hello});
    Client client = server.connect_slow();
    client.send(get("/files/large"));
    eventually("the server has it", [&] { return connections(server) == 1; });
    eventually("the server has let it go", [&] { return connections(server) == 0; });
    CHECK(client.rest().size() < large.size());
    CHECK(server.get("/").status == 200);
}

TEST_CASE("idle connections end after keepalive_timeout", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "keepalive_timeout = 300ms\n", .routes = hello});
    Client client = server.connect();
    client.send(get("/"));
    CHECK_FALSE(client.response().has("Connection"));
    CHECK(client.ends());
}

TEST_CASE("no connection is kept where keepalive_timeout is 0", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "keepalive_timeout = 0\n", .routes = hello});
    Client client = server.connect();
    client.send(get("/"));
    CHECK(client.response().field("Connection") == "close");
    CHECK(client.ends());
}

TEST_CASE("a connection brings keepalive_requests at most", "[integration][limits]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "keepalive_requests = 3\n", .routes = hello});
    Client client = server.connect();
    client.send(get("/") + get("/") + get("/") + get("/"));
    CHECK_FALSE(client.response().has("Connection"));
    CHECK_FALSE(client.response().has("Connection"));
    CHECK(client.response().field("Connection") == "close");
    CHECK(client.ends());
}

TEST_CASE("connections over connections_max are turned away with 503 and counted",
          "[integration][limits][one-process]") {
    const TemporaryFolder folder;
    const std::string accept = GENERATE("accept = reuseport\n", "accept = shared\n");
    const Server server(
        folder, {.execution = "workers = 1\n" + accept, .server = "connections_max = 2\n", .routes = hello});
    Client first = server.connect();
    first.send(get("/"));
    CHECK(first.response().status == 200);
    {
        Client second = server.connect();
        second.send(get("/"));
        CHECK(second.response().status == 200);
        for (int i = 0; i < 3; ++i) {
            Client third = server.connect();
            const Response response = third.response();
            CHECK(response.status == 503);
            CHECK(response.has("Retry-After"));
            CHECK(response.field("Connection") == "close");
            CHECK(third.ends());
        }
        CHECK(server.status().workers[0].refused == 3);
        first.send(get("/"));
        CHECK(first.response().status == 200);
    }
    eventually("there is room again", [&] { return connections(server) == 1; });
    CHECK(server.get("/").status == 200);
}

TEST_CASE("an address for health, status and metrics alone takes connections over connections_max",
          "[integration][limits][one-process]") {
    const TemporaryFolder folder;
    const std::uint16_t admin = free_port();
    const Server server(folder, {.execution = "workers = 1\n",
                                 .server = "connections_max = 2\n",
                                 .routes = "[route hello]\nserver = site\npath = /\nrespond = 200 \"hello\"\n"
                                           "[server admin]\nlisten = 127.0.0.1:" +
                                           std::to_string(admin) +
                                           "\nconnections_max = 2\naccess_log = off\n[route live]\nserver = "
                                           "admin\npath = /\nhealth = live\n"});
    std::vector<Client> many;
    for (int i = 0; i < 2; ++i) {
        many.push_back(server.connect());
        many.back().send(get("/"));
        REQUIRE(many.back().response().status == 200);
    }
    CHECK(server.get("/").status == 503);
    std::vector<Client> spared;
    const auto ask = [&] {
        spared.emplace_back(admin);
        spared.back().send(get("/"));
        return spared.back().response().status;
    };
    for (int i = 0; i < 64; ++i) CHECK(ask() == 200);
    CHECK(ask() == 503);  // there is an end to it
    spared.clear();
    many.clear();
    eventually("there is room for all", [&] { return server.get("/").status == 200; });
}

TEST_CASE("two hundred slow heads keep no one waiting, and go with 408", "[integration][limits][many]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "header_timeout = 3s\n", .routes = hello});
    std::vector<Client> slow;
    for (int i = 0; i < 200; ++i) {
        slow.push_back(server.connect());
        slow.back().send("GET / HTTP/1.1\r\nHost: te");
    }
    Client normal = server.connect();
    int answered = 0;
    for (int i = 0; i < 200; ++i) {
        normal.send(get("/"));
        answered += normal.response().body == "hello" ? 1 : 0;
    }
    CHECK(answered == 200);
    int timed_out = 0;
    for (Client& client : slow) timed_out += client.response().status == 408 && client.ends() ? 1 : 0;
    CHECK(timed_out == 200);
    slow.clear();
    eventually("only the normal one is left", [&] { return connections(server) <= 1; });
}

TEST_CASE("a worker without descriptors pauses, says so, and recovers by itself",
          "[integration][limits][one-loop]") {
    const TemporaryFolder folder;
    const std::string accept = GENERATE("accept = reuseport\n", "accept = shared\n");
    const Server server(
        folder, {.reeve = "open_files = 64\n", .execution = "workers = 1\n" + accept, .routes = hello});
    CHECK(server.get("/").status == 200);  // a sanitizer needs descriptors for what it sees first
    std::vector<Client> many;
    for (int i = 0; i < 100; ++i) many.push_back(server.connect());
    many.front().send(get("/"));
    CHECK(many.front().response().status == 200);
    eventually("the pauses are counted", [&] { return server.status().workers[0].accept_pauses > 0; });
    many.back().send(get("/"));  // still in the queue
    many.erase(many.begin(), many.end() - 1);
    CHECK(many.back().response().status == 200);
    CHECK(server.get("/").status == 200);
    CHECK(server.status().workers[0].restarts == 0);
}
