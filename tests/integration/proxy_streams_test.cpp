// The proxy over time: what passes piece by piece, what waits for whom, and what it costs.
#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

constexpr std::size_t large_size = 64 << 20;

/// Sanitizers keep what was freed, and count it all again.
std::uint64_t growth_max() { return sanitized() ? 1 << 30 : 16 << 20; }

const std::string& large() {
    static const std::string text = numbers(large_size);
    return text;
}

pid_t worker_of(const Server& server) { return server.status().workers.front().pid; }

/// Takes it in pieces, and compares.
bool takes_large(Client& client) {
    for (std::size_t at = 0; at < large_size; at += 64 << 10)
        if (client.take(64 << 10) != std::string_view(large()).substr(at, 64 << 10)) return false;
    return true;
}

}  // namespace

TEST_CASE("a slow client holds back the peer, and costs no memory", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/small") {
            talk.send(answer("x"));
        } else if (asked.target() == "/length") {
            talk.send(answer(large()));
        } else {
            talk.send(ok + (asked.target() == "/chunks" ? chunked : "") + "\r\n");
            for (std::size_t at = 0; at < large_size; at += 1 << 20) {
                const std::string piece = large().substr(at, 1 << 20);
                talk.send(asked.target() == "/chunks" ? chunk(piece) : piece);
            }
            if (asked.target() == "/chunks") talk.send("0\r\n\r\n");
            if (asked.target() != "/chunks") talk.close();
        }
    });
    const Server server(folder, passing_to({origin.address()}));
    const pid_t worker = worker_of(server);
    CHECK(server.get("/small").status == 200);
    const auto before = resident_bytes(worker);
    {
        Client client = server.connect_slow();
        client.send(get("/length", "Connection: close\r\n"));
        CHECK(client.head().status == 200);
        CHECK(takes_large(client));
        CHECK(client.ends());
    }
    for (const std::string target : {"/chunks", "/until-end"}) {
        CAPTURE(target);
        Client client = server.connect_slow();
        client.send(get(target));
        CHECK(client.head().status == 200);
        const Chunks chunks = take_chunks(client);
        CHECK(chunks.whole);
        CHECK((chunks.payload == large()));
    }
    CHECK(resident_bytes_max(worker) < before + growth_max());
}

TEST_CASE("a slow client holds back also what comes before the answer", "[integration][proxy][concurrent]") {
    const TemporaryFolder folder;
    constexpr std::size_t size = 16 << 10, hints = large_size / size;
    std::atomic<std::size_t> sent = 0;
    const std::string early = "HTTP/1.1 103 Early Hints\r\nLink: " + std::string(size, 'a') + "\r\n\r\n";
    Origin origin([&](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/many")
            for (std::size_t i = 0; i < hints && talk.send(early); ++i) ++sent;
        talk.send(answer("x"));
    });
    const Server server(folder, passing_to({origin.address()}));
    const pid_t worker = worker_of(server);
    CHECK(server.get("/").status == 200);
    const auto before = resident_bytes(worker);
    Client client = server.connect_slow();
    client.send(get("/many"));
    (void)origin.await(2);
    // Who reads the peer has time for it, again and again, as long as others are served.
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(server.get("/").status == 200);
        REQUIRE(sent < hints / 2);
    }
    for (std::size_t i = 0; i < hints; ++i) REQUIRE(client.head().status == 103);
    CHECK(client.response().body == "x");
    CHECK(resident_bytes_max(worker) < before + growth_max());
}

TEST_CASE("a slow peer holds back the client, and costs no memory", "[integration][proxy]") {
    const TemporaryFolder folder;
    std::string received;
    Origin origin(
        [&](const Asked& asked, Origin::Talk& talk) {
            Asked whole = asked;
            talk.receive_body(whole);
            received = whole.payload;
            talk.send(answer("thanks"));
        },
        Calls::head);
    origin.narrow();
    const Server server(folder, passing_to({origin.address()}, "body_max = 0\n"));
    const pid_t worker = worker_of(server);
    CHECK(server.ask(post("/", "x")).status == 200);
    const auto before = resident_bytes(worker);
    CHECK(server.ask(post("/length", large())).status == 200);
    CHECK((received == large()));
    received.clear();
    Client client = server.connect();
    client.send("POST /chunks HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n");
    for (std::size_t at = 0; at < large_size; at += 1 << 20) client.send(chunk(large().substr(at, 1 << 20)));
    client.send("0\r\n\r\n");
    CHECK(client.response().status == 200);
    CHECK((received == large()));
    CHECK(resident_bytes_max(worker) < before + growth_max());
}

TEST_CASE("who waits costs no processor time", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(
        [](const Asked& asked, Origin::Talk& talk) {
            if (asked.target() == "/download") talk.send(answer(large()));
            if (asked.target() == "/half") talk.send(ok + "Content-Length: 10\r\n\r\nhalf");
            if (asked.target() == "/tunnel")
                talk.send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
            (void)talk.wait();  // reads nothing
        },
        Calls::head);
    const Server server(folder, passing_to({origin.address()}, "body_max = 0\n"));
    const pid_t worker = worker_of(server);
    const auto costs = [&] {
        const auto before = processor_ms(worker);
        std::this_thread::sleep_for(std::chrono::milliseconds(600));
        return processor_ms(worker) - before;
    };
    std::vector<Client> clients;
    SECTION("for a client that takes nothing") {
        clients.push_back(server.connect_slow());
        clients.back().send(get("/download"));
        CHECK(clients.back().head().status == 200);
    }
    SECTION("for a peer that takes nothing") {
        clients.push_back(server.connect());
        std::thread sender([&] { clients.back().send(post("/upload", large())); });
        (void)origin.await();
        CHECK(costs() < 200);
        origin.go();  // the script ends, and so does the connection of the thread behind it
        clients.back().half_close();
        sender.join();
    }
    SECTION("for the rest of an answer") {
        clients.push_back(server.connect());
        clients.back().send(get("/half"));
        CHECK(clients.back().head().status == 200);
    }
    SECTION("for a client that has sent more than was asked") {
        clients.push_back(server.connect());
        clients.back().send(get("/silence") + get("/next") + std::string(100'000, 'x'));
        (void)origin.await();
    }
    SECTION("in a tunnel") {
        clients.push_back(server.connect());
        clients.back().send(get("/tunnel", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
        CHECK(clients.back().head().status == 101);
    }
    CHECK(costs() < 100);
}

TEST_CASE("what a peer says passes at once", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        const bool by_chunks = asked.target() == "/chunks";
        const std::map<std::string, std::string> framing{
            {"/chunks", chunked}, {"/until-end", ""}, {"/length", "Content-Length: 1000000\r\n"}};
        talk.send(ok + "Content-Type: text/event-stream\r\n" + framing.at(asked.target()) + "\r\n");
        for (int i = 0; i < 5 && talk.wait(); ++i) {
            const std::string event = "data: " + std::to_string(i) + "\n\n";
            talk.send(by_chunks ? chunk(event) : event);
        }
        if (by_chunks) talk.send("0\r\n\r\n");
        talk.close();
    });
    const Server server(folder, passing_to({origin.address()}));
    for (const std::string target : {"/chunks", "/until-end", "/length"}) {
        for (const bool old : {false, true}) {
            CAPTURE(target, old);
            Client client = server.connect();
            client.send(old ? "GET " + target + " HTTP/1.0\r\n\r\n" : get(target));
            const Response head = client.head();  // before there is an event
            CHECK(head.field("Content-Type") == "text/event-stream");
            const bool by_chunks = head.has("Transfer-Encoding");
            CHECK(by_chunks == (!old && target != "/length"));
            for (int i = 0; i < 5; ++i) {
                origin.go();  // each comes before the next is sent
                const std::string event = "data: " + std::to_string(i) + "\n\n";
                const std::string expected = by_chunks ? chunk(event) : event;
                CHECK(client.take(expected.size()) == expected);
            }
            if (by_chunks) CHECK(client.take(5) == "0\r\n\r\n");
            if (!by_chunks) CHECK(client.ends());
        }
    }
}

TEST_CASE("what a client says passes at once, while the answer comes", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(
        [](const Asked&, Origin::Talk& talk) {
            talk.send(ok + chunked + "\r\n");
            for (std::string bytes = talk.receive(); !bytes.empty(); bytes = talk.receive()) {
                talk.send(bytes);  // the client's chunks are ours
                if (bytes.ends_with("0\r\n\r\n")) return;
            }
        },
        Calls::head);
    const Server server(folder, passing_to({origin.address()}));
    Client client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n");
    CHECK(client.head().status == 200);
    for (int i = 0; i < 5; ++i) {
        const std::string piece = chunk("piece " + std::to_string(i));
        client.send(piece);
        CHECK(client.take(piece.size()) == piece);
    }
    client.send("0\r\n\r\n");
    CHECK(client.take(5) == "0\r\n\r\n");
    client.send(get("/"));
    CHECK(client.head().status == 200);
}

TEST_CASE("the log names a request as it was, whatever its body overwrote", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("x")));
    Setup setup = passing_to({origin.address()}, "body_max = 0\n");
    setup.server = "access_log = @folder@/access.log\n";
    Server server(folder, setup);
    CHECK(server.ask(post("/the/upload?q", large().substr(0, 4 << 20), "User-Agent: me\r\n")).status == 200);
    CHECK(server.stop() == 0);
    const std::string log = contents(folder.path("access.log"));
    CHECK(contains(log, "\"POST /the/upload?q HTTP/1.1\" 200 1 "));
    CHECK(contains(log, "\"me\""));
}

TEST_CASE("failures leave no descriptor behind", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        switch (std::stoi(asked.target().substr(1)) % 8) {
            case 0: talk.send(answer("x")); break;
            case 1: talk.close(); break;
            case 2: talk.reset(); break;
            case 3: talk.send("HTTP/1.1 2"), talk.close(); break;
            case 4:
                talk.send(ok + "Content-Length: 900000\r\n\r\n" + std::string(400'000, 'x')), talk.close();
                break;
            case 5: talk.send(ok + chunked + "\r\nz"), talk.await_end(); break;
            case 6: talk.send(answer(std::string(300'000, 'x'))); break;
            case 7: talk.await_end(); break;
        }
    });
    const Server server(folder,
                        passing_to({origin.address(), nobody()}, "read_timeout = 1s\n", "keepalive = 0\n"));
    const pid_t worker = worker_of(server);
    CHECK(server.get("/0").status == 200);
    const std::size_t before = descriptors(worker);
    for (int i = 0; i < 200; ++i) {
        Client client = server.connect();
        const std::string target = "/" + std::to_string(i), last = "Connection: close\r\n";
        client.send(i % 3 == 0 ? post(target, "body", last) : get(target, last));
        if (i % 8 == 7) continue;  // leaves
        (void)client.head();
        if (i % 5 != 0) (void)client.take(1000);
    }
    eventually("all is over",
               [&] { return origin.open() == 0 && server.status().workers.front().connections == 0; });
    constexpr std::size_t spare_pipes = 4 * 2;  // kept for the next large answers
    CHECK(descriptors(worker) <= before + spare_pipes);
}
