// Tunnels through the proxy: 101, and from then on bytes.
#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

pid_t worker_of(const Server& server) { return server.status().workers.front().pid; }

const std::string switching =
    "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Key: k\r\n\r\n";

std::string upgrade(const std::string& target = "/") {
    return get(target, "Connection: keep-alive, Upgrade\r\nUpgrade: echo\r\nSec-Key: s\r\n");
}

/// Sends back what comes.
void echo(const Asked&, Origin::Talk& talk) {
    talk.send(switching);
    for (std::string bytes = talk.receive(); !bytes.empty(); bytes = talk.receive())
        if (!talk.send(bytes)) return;
    talk.close();
}

bool echoes(Client& client, const std::string& text) {
    client.send(text);
    return client.take(text.size()) == text;
}

}  // namespace

TEST_CASE("after 101 bytes pass both ways until somebody ends", "[integration][proxy]") {
    const TemporaryFolder folder;
    SECTION("the client") {
        Origin origin(echo);
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect();
        client.send(upgrade());
        const Response response = client.head();
        CHECK(response.status == 101);
        CHECK(response.field("Upgrade") == "echo");
        CHECK(response.field("Connection") == "upgrade");
        CHECK(response.field("X-Key") == "k");
        CHECK_FALSE(response.has("Content-Length"));
        CHECK_FALSE(response.has("Transfer-Encoding"));
        const Asked asked = origin.await();
        CHECK(asked.field("Upgrade") == "echo");
        CHECK(asked.field("Connection") == "upgrade");
        CHECK(asked.count("Connection") == 1);
        CHECK(asked.field("Sec-Key") == "s");
        CHECK(echoes(client, "ping"));
        CHECK(echoes(client, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
        CHECK(echoes(client, std::string("\0\xff\r\n\r\n", 6)));
        const std::string text = numbers(5'000'000);
        for (int i = 0; i < 50; ++i)
            CHECK(echoes(client, text.substr(static_cast<std::size_t>(i) * 100'000, 100'000)));
        client.close();
        eventually("the peer is told", [&] { return origin.open() == 0; });
        CHECK(origin.asked().size() == 1);
    }
    SECTION("the peer, behind its last bytes") {
        Origin origin([](const Asked&, Origin::Talk& talk) {
            talk.send(switching + numbers(4 << 20));
            talk.close();
        });
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect_slow();
        client.send(upgrade());
        CHECK(client.head().status == 101);
        CHECK((client.rest() == numbers(4 << 20)));
    }
    SECTION("the client, behind its last bytes") {
        std::string received;
        Origin origin([&](const Asked&, Origin::Talk& talk) {
            talk.send(switching);
            for (std::string bytes = talk.receive(); !bytes.empty(); bytes = talk.receive())
                received += bytes;
            talk.close();
        });
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect();
        client.send(upgrade());
        CHECK(client.head().status == 101);
        client.send(numbers(50'000));  // what the kernel takes without waiting for the peer
        client.half_close();
        eventually("the peer is told", [&] { return origin.open() == 0; });
        CHECK((received == numbers(50'000)));
    }
}

TEST_CASE("bytes behind a request for a tunnel are the tunnel's", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) {
        talk.send(switching + "welcome");
        talk.send(talk.receive(5));
        talk.await_end();
    });
    const Server server(folder, passing_to({origin.address()}));
    Client client = server.connect();
    client.send(upgrade() + "early");
    CHECK(client.head().status == 101);
    CHECK(client.take(12) == "welcomeearly");
}

TEST_CASE("a tunnel that is quiet for long ends; one that is used does not", "[integration][proxy]") {
    const TemporaryFolder folder;
    SECTION("quiet") {
        Origin origin(echo);
        const Server server(folder, passing_to({origin.address()}, "read_timeout = 300ms\n"));
        Client client = server.connect();
        client.send(upgrade());
        CHECK(client.head().status == 101);
        CHECK(echoes(client, "ping"));
        CHECK(client.ends());
        eventually("the peer is told", [&] { return origin.open() == 0; });
    }
    SECTION("used, by a client that was slow for a moment") {
        const std::string text = numbers(16 << 20);
        Origin origin([&](const Asked&, Origin::Talk& talk) {
            talk.send(switching + text);
            for (std::string bytes = talk.receive(); !bytes.empty(); bytes = talk.receive()) talk.send(bytes);
        });
        const Server server(
            folder,
            passing_to(
                {origin.address()},
                "send_timeout = 500ms\nbody_timeout = 500ms\ntimeout = 2s\nkeepalive_timeout = 500ms\n"));
        Client client = server.connect_slow();
        client.send(upgrade());
        CHECK(client.head().status == 101);
        CHECK((client.take(16 << 20) == text));
        const auto start = Clock::now();
        bool alive = true;
        while (alive && Clock::now() - start < std::chrono::milliseconds(2500)) {
            alive = echoes(client, "ping");
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        CHECK(alive);
    }
}

TEST_CASE("a peer need not upgrade, and may not unasked", "[integration][proxy]") {
    const TemporaryFolder folder;
    SECTION("an ordinary answer is one") {
        Origin origin(always(answer("no")));
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect();
        client.send(upgrade());
        CHECK(client.response().body == "no");
        client.send(upgrade() + get("/"));
        CHECK(client.response().body == "no");
        CHECK(client.response().body == "no");
        CHECK(origin.accepted() == 1);
    }
    SECTION("101 that nobody asked for is 502") {
        Origin origin(echo);
        const Server server(folder, passing_to({origin.address()}));
        CHECK(server.get("/").status == 502);
        CHECK(server.get("/", "Upgrade: echo\r\n").status == 502);  // not named by Connection
        CHECK(server.ask("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").status == 502);
        for (const Asked& asked : origin.asked()) CHECK_FALSE(asked.has("Upgrade"));
        eventually("it is not spoken to any more", [&] { return origin.open() == 0; });
    }
    SECTION("101 that does not say to what is 502") {
        Origin origin(always("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"));
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect();
        client.send(upgrade());
        CHECK(client.response().status == 502);
    }
}

TEST_CASE("a reload lets tunnels and requests go on", "[integration][proxy][concurrent]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        if (asked.has("Upgrade")) return echo(asked, talk);
        if (asked.target() == "/slow" && !talk.wait()) return;
        talk.send(answer("here"));
    });
    const Server server(folder, passing_to({origin.address()}));
    Client tunnel = server.connect(), slow = server.connect();
    tunnel.send(upgrade());
    CHECK(tunnel.head().status == 101);
    slow.send(get("/slow"));
    (void)origin.await(2);
    const pid_t before = worker_of(server);
    CHECK(server.command({"-s", "reload"}).status == 0);
    eventually("another worker serves", [&] {
        const auto workers = server.status().workers;
        return std::any_of(workers.begin(), workers.end(), [&](const auto& worker) {
            return worker.pid != before && worker.state == "ready";
        });
    });
    CHECK(server.get("/").body == "here");
    CHECK(echoes(tunnel, "still here"));
    origin.go();
    const Response response = slow.response();
    CHECK(response.body == "here");
    CHECK(response.field("Connection") == "close");
    slow.close();
    CHECK(echoes(tunnel, "and still"));
    tunnel.close();
    await_workers(server, 1);  // the old one has left
}
