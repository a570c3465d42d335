// The proxy and its peers: who is asked, who is not, and for how long a connection is kept.
#include <algorithm>
#include <atomic>
#include <map>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

TEST_CASE("statuses of retry_statuses are another peer's to answer, once", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin busy(always(answer("busy", "X-Who: busy\r\n", 503)));
    SECTION("another one does") {
        Origin origin(always(answer("here")));
        const Server server(folder, passing_to({busy.address(), origin.address() + " backup"},
                                               "retry_statuses = 502 503\n", "eject_failures = 0\n"));
        CHECK(server.get("/").body == "here");
        CHECK(server.ask(post("/", "body")).body == "busy");
        CHECK(origin.asked().size() == 1);
    }
    SECTION("all say it") {
        Origin other(always(answer("busy too", "X-Who: other\r\n", 502)));
        const Server server(
            folder, passing_to({busy.address(), other.address() + " backup"}, "retry_statuses = 502 503\n"));
        const Response response = server.get("/");
        CHECK(response.status == 502);
        CHECK(response.body == "busy too");
        CHECK(response.field("X-Who") == "other");
    }
    SECTION("not asked for") {
        Origin other(always(answer("here")));
        const Server server(folder, passing_to({busy.address(), other.address() + " backup"}));
        CHECK(server.get("/").status == 503);
        CHECK(other.asked().empty());
    }
    SECTION("beside one that is down") {
        const Server server(folder,
                            passing_to({busy.address(), nobody() + " down"}, "retry_statuses = 503\n"));
        CHECK(server.get("/").body == "busy");
    }
}

TEST_CASE("retries says how many more peers are asked", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin first(leaving("")), second(leaving("")), third(leaving("")), good(always(answer("here")));
    const auto asked = [&] { return first.asked().size() + second.asked().size() + third.asked().size(); };
    for (const std::size_t retries : {0u, 1u, 2u, 3u}) {
        CAPTURE(retries);
        const std::size_t before = asked();
        const TemporaryFolder own;
        const Server server(
            own, passing_to({first.address(), second.address(), third.address(), good.address() + " backup"},
                            "retries = " + std::to_string(retries) + "\n"));
        CHECK(server.get("/").status == (retries < 3 ? 502 : 200));
        CHECK(asked() - before == std::min<std::size_t>(retries + 1, 3));
    }
}

TEST_CASE("a peer at its max_conns is not asked", "[integration][proxy][concurrent]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/leave") return talk.await_end();
        if (talk.wait()) talk.send(answer("here"));
    });
    SECTION("alone it is 503") {
        const Server server(folder, passing_to({origin.address() + " max_conns=2"}));
        Client first = server.connect(), second = server.connect();
        first.send(get("/"));
        second.send(get("/"));
        (void)origin.await(2);
        CHECK(server.get("/").status == 503);
        origin.go();
        origin.go();
        CHECK(first.response().status == 200);
        CHECK(second.response().status == 200);
        first.send(get("/leave"));
        second.send(get("/leave"));
        (void)origin.await(4);
        CHECK(server.get("/").status == 503);
        first.close();
        eventually("it has left", [&] { return origin.open() == 1; });
        origin.go();
        CHECK(server.get("/").status == 200);
    }
    SECTION("another one is") {
        Origin other(always(answer("there")));
        const Server server(folder,
                            passing_to({origin.address() + " max_conns=1", other.address() + " backup"}));
        Client first = server.connect();
        first.send(get("/"));
        (void)origin.await();
        CHECK(server.get("/").body == "there");
        origin.go();
        CHECK(first.response().body == "here");
    }
}

TEST_CASE("a backup is asked when nobody else can be", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin backup(always(answer("backup")));
    SECTION("never beside others") {
        Origin origin(always(answer("here")));
        const Server server(folder, passing_to({backup.address() + " backup", origin.address()}));
        for (int i = 0; i < 10; ++i) CHECK(server.get("/").body == "here");
        CHECK(backup.asked().empty());
    }
    SECTION("for as long as the others fail") {
        const Server server(folder, passing_to({nobody(), backup.address() + " backup"}));
        Client client = server.connect();
        int answered = 0;
        for (int i = 0; i < 100; ++i) {
            client.send(get("/"));
            answered += client.response().status == 200 ? 1 : 0;
        }
        CHECK(answered == 100);
    }
    SECTION("when the others are down") {
        const Server server(folder, passing_to({nobody() + " down", backup.address() + " backup"}));
        for (int i = 0; i < 30; ++i) CHECK(server.get("/").body == "backup");
    }
}

TEST_CASE("a peer that is down is never asked", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin down(always(answer("down"))), origin(always(answer("here")));
    const Server server(folder, passing_to({down.address() + " down", origin.address()}));
    for (int i = 0; i < 10; ++i) CHECK(server.get("/").body == "here");
    CHECK(down.accepted() == 0);
    const TemporaryFolder own;
    const Server alone(own, passing_to({down.address() + " down"}));
    CHECK(alone.get("/").status == 502);
}

TEST_CASE("a peer that fails in a row is left alone for a while", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin failing(leaving("")), origin(always(answer("here")));
    SECTION("for long") {
        const Server server(folder,
                            passing_to({failing.address(), origin.address()}, "", "eject_failures = 2\n"));
        for (int i = 0; i < 30; ++i) CHECK(server.get("/").body == "here");
        CHECK(failing.asked().size() == 2);
        CHECK(count(server.log(), "peer is ejected upstream=origin peer=" + failing.address()) == 1);
    }
    SECTION("and then asked again") {
        const Server server(folder, passing_to({failing.address(), origin.address()}, "",
                                               "eject_failures = 1\neject_time = 200ms\n"));
        eventually("it is asked again", [&] {
            CHECK(server.get("/").body == "here");
            return failing.asked().size() >= 3;
        });
    }
    SECTION("but not when all fail") {
        Origin other(leaving(""));
        const Server server(folder, passing_to({failing.address(), other.address()}, "retries = 0\n",
                                               "eject_failures = 1\n"));
        for (int i = 0; i < 10; ++i) CHECK(server.get("/").status == 502);
        CHECK(failing.asked().size() + other.asked().size() == 10);
    }
    SECTION("nor beside those that do, once one of all that failed answers") {
        std::atomic<bool> well{false};
        Origin other([&](const Asked& asked, Origin::Talk& talk) {
            (well ? always(answer("here")) : leaving(""))(asked, talk);
        });
        const Server server(folder, passing_to({failing.address(), other.address()}, "retries = 0\n",
                                               "eject_failures = 1\neject_time = 1h\n"));
        for (int i = 0; i < 4; ++i) CHECK(server.get("/").status == 502);
        well = true;
        eventually("it is asked, although ejected", [&] { return server.get("/").body == "here"; });
        // An answer to who asked within the millisecond of its ejection says nothing of it: another one does.
        eventually("all workers know", [&] {
            (void)server.get("/");
            return contains(server.log(), "peer answers again");
        });
        for (int i = 0; i < 10; ++i) CHECK(server.get("/").body == "here");
        CHECK(count(server.log(), "peer answers again upstream=origin peer=" + other.address()) == 1);
        CHECK(count(server.log(), "peer answers again") == 1);
    }
    if (serves_several()) SECTION("also when it answers what it was asked before") {
            Origin ill([](const Asked& asked, Origin::Talk& talk) {
                if (asked.target() == "/bad") return talk.close();
                if (!talk.wait()) return;
                talk.send(answer("late"));
            });
            const Server server(folder, passing_to({ill.address(), origin.address() + " backup"},
                                                   "retries = 0\n", "eject_failures = 1\n"));
            Client slow = server.connect();
            slow.send(get("/slow"));
            (void)ill.await();
            CHECK(server.get("/bad").status == 502);
            ill.go();
            CHECK(slow.response().body == "late");
            CHECK(server.get("/").body == "here");
            CHECK(count(server.log(), "peer answers again") == 0);
        }
}

TEST_CASE("a connection to a peer serves one request after another", "[integration][proxy][one-loop]") {
    const TemporaryFolder folder;
    const std::string large = numbers(3 << 20);
    Origin origin(by_target(
        {{"/", answer("x")},
         {"/chunks", ok + chunked + "\r\n1\r\nx\r\n0\r\n\r\n"},
         {"/large", answer(large)},
         {"/error", answer("x", "", 500)},
         {"/close", answer("x", "Connection: close\r\n")},
         {"/old", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"},
         {"/old-kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"}}));
    SECTION("as a default") {
        const Server server(folder, passing_to({origin.address()}));
        for (const std::string target : {"/", "/", "/chunks", "/error", "/old-kept", "/missing", "/"}) {
            CAPTURE(target);
            Client client = server.connect();
            client.send(get(target, "Connection: close\r\n"));
            (void)client.rest();
            CHECK(origin.accepted() == 1);
        }
        CHECK(server.ask(post("/", "body")).status == 200);
        CHECK(origin.accepted() == 1);
        for (int i = 0; i < 5; ++i) CHECK((server.get("/large").body == large));
        CHECK(origin.accepted() == 1);
        CHECK(server.get("/close").status == 200);
        CHECK(server.get("/").status == 200);
        CHECK(origin.accepted() == 2);
        CHECK(server.get("/old").status == 200);
        CHECK(server.get("/").status == 200);
        CHECK(origin.accepted() == 3);
    }
    SECTION("unless none is kept") {
        const Server server(folder, passing_to({origin.address()}, "", "keepalive = 0\n"));
        for (std::size_t i = 1; i <= 3; ++i) {
            CHECK(server.get("/").status == 200);
            CHECK(origin.accepted() == i);
        }
        eventually("none is left", [&] { return origin.open() == 0; });
    }
    SECTION("as often as it may") {
        const Server server(folder, passing_to({origin.address()}, "", "keepalive_requests = 2\n"));
        for (std::size_t i = 0; i < 6; ++i) {
            CHECK(server.get("/").status == 200);
            CHECK(origin.accepted() == i / 2 + 1);
        }
    }
    SECTION("until it was idle for long") {
        const Server server(folder, passing_to({origin.address()}, "", "keepalive_timeout = 200ms\n"));
        CHECK(server.get("/").status == 200);
        eventually("it is closed", [&] { return origin.open() == 0; });
        CHECK(server.get("/").status == 200);
        CHECK(origin.accepted() == 2);
    }
}

TEST_CASE("no more idle connections are kept than may be", "[integration][proxy][one-loop][concurrent]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) {
        if (talk.wait()) talk.send(answer("x"));
    });
    const Server server(folder, passing_to({origin.address()}, "", "keepalive = 2\n"));
    std::vector<Client> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(server.connect());
        clients.back().send(get("/"));
    }
    (void)origin.await(5);
    CHECK(origin.open() == 5);
    for (int i = 0; i < 5; ++i) origin.go();
    for (Client& client : clients) CHECK(client.response().status == 200);
    eventually("two are left", [&] { return origin.open() == 2; });
}

TEST_CASE("two workers spread requests as balance says", "[integration][proxy]") {
    const TemporaryFolder folder;
    const Origin::Script script = [](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/hold" && !talk.wait()) return;
        talk.send(answer("x"));
    };
    Origin a(script), b(script);
    const auto balancing = [&](const std::string& balance, const std::string& a_options = "") {
        Setup setup = passing_to({a.address() + a_options, b.address()}, "", "balance = " + balance + "\n");
        setup.execution = "workers = 2\n";
        return setup;
    };
    SECTION("by turns and weight") {
        const Server server(folder, balancing("round_robin", " weight=3"));
        for (int i = 0; i < 200; ++i) CHECK(server.get("/").status == 200);
        CHECK(a.asked().size() + b.asked().size() == 200);
        CHECK(a.asked().size() >= 147);
        CHECK(a.asked().size() <= 153);
    }
    if (serves_several()) SECTION("to whom has least to do") {
            const Server server(folder,
                                balancing(GENERATE(std::string("least_conn"), std::string("random_two"))));
            std::vector<Client> clients;
            for (std::size_t i = 1; i <= 8; ++i) {
                clients.push_back(server.connect());
                clients.back().send(get("/hold"));
                eventually("it is asked", [&] { return a.asked().size() + b.asked().size() == i; });
            }
            CHECK(a.asked().size() == 4);
            CHECK(b.asked().size() == 4);
            for (int i = 0; i < 4; ++i) a.go(), b.go();
            for (Client& client : clients) CHECK(client.response().status == 200);
        }
    SECTION("by a key") {
        const Server server(folder, balancing("hash $uri"));
        std::map<std::string, int> asked_a, asked_b;
        for (int round = 0; round < 6; ++round)
            for (int i = 0; i < 30; ++i) CHECK(server.get("/" + std::to_string(i)).status == 200);
        for (const Asked& asked : a.asked()) ++asked_a[asked.target()];
        for (const Asked& asked : b.asked()) ++asked_b[asked.target()];
        CHECK(asked_a.size() + asked_b.size() == 30);
        CHECK(asked_a.size() >= 5);
        CHECK(asked_b.size() >= 5);
        for (const auto& [target, times] : asked_a) CHECK(times == 6);
    }
}
