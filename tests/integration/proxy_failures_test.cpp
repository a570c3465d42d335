// The proxy when peers or clients fail: what the other side sees of it, and when.
#include <map>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

const std::string upload = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n";

/// Its body has a request in each chunk.
std::string post_stolen(int chunks) {
    std::string body;
    for (int i = 0; i < chunks; ++i) body += "24\r\nGET /stolen HTTP/1.1\r\nHost: test\r\n\r\n\r\n";
    return "POST /x HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n" + body + "0\r\n\r\n";
}

}  // namespace

TEST_CASE("where nobody listens another peer is asked, whatever the method", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("here")));
    const Server server(folder, passing_to({nobody(), origin.address(), "unix:" + folder.path("none")}));
    for (int i = 0; i < 6; ++i) {
        CHECK(server.get("/").body == "here");
        CHECK(server.ask(post("/", "body")).body == "here");
    }
    for (const Asked& asked : origin.asked())
        CHECK(asked.payload == (asked.line().starts_with("POST") ? "body" : ""));
}

TEST_CASE("when nobody listens anywhere it is 502", "[integration][proxy]") {
    const TemporaryFolder folder;
    const Server server(folder, passing_to({nobody(), "unix:" + folder.path("none")}));
    Client client = server.connect();
    for (int i = 0; i < 3; ++i) {
        client.send(get("/"));
        CHECK(client.response().status == 502);
        client.send(post("/", "body"));
        CHECK(client.response().status == 502);
    }
    CHECK(contains(server.log(), "upstream failed route=all upstream=origin"));
}

TEST_CASE("a peer that takes no connection is 504, or another one is asked", "[integration][proxy]") {
    const TemporaryFolder folder;
    const DeafListener deaf;
    SECTION("alone") {
        const Server server(folder, passing_to({deaf.address()}, "connect_timeout = 200ms\n"));
        CHECK(server.get("/").status == 504);
    }
    SECTION("with another one") {
        Origin origin(always(answer("here")));
        const Server server(folder,
                            passing_to({deaf.address(), origin.address()}, "connect_timeout = 200ms\n"));
        CHECK(server.ask(post("/", "body")).body == "here");
        CHECK(server.get("/").body == "here");
    }
}

TEST_CASE("a peer that says nothing is 504, or another one is asked", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin mute(silent());
    SECTION("alone") {
        const Server server(folder, passing_to({mute.address()}, "read_timeout = 200ms\n"));
        CHECK(server.get("/").status == 504);
        CHECK(server.ask(post("/", "body")).status == 504);
        eventually("nobody waits for it", [&] { return mute.open() == 0; });
    }
    SECTION("with another one") {
        Origin origin(always(answer("here")));
        const Server server(
            folder, passing_to({mute.address(), origin.address() + " backup"}, "read_timeout = 200ms\n"));
        CHECK(server.get("/").body == "here");
        CHECK(server.ask(post("/", "body")).status == 504);  // who knows what it has done with it
        CHECK(origin.asked().size() == 1);
    }
    SECTION("beside one that is down") {
        const Server server(folder,
                            passing_to({mute.address(), nobody() + " down"}, "read_timeout = 200ms\n"));
        CHECK(server.get("/").status == 504);
    }
}

TEST_CASE("a peer that is quiet in the middle of its answer leaves it cut", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) {
        talk.send(ok + "Content-Length: 10\r\n\r\nhalf");
        talk.await_end();
    });
    const Server server(folder, passing_to({origin.address()}, "read_timeout = 200ms\n"));
    Client client = server.connect();
    client.send(get("/"));
    CHECK(client.head().status == 200);
    CHECK(client.rest() == "half");
}

TEST_CASE("a peer that goes before its answer is 502, or another one is asked where that is safe",
          "[integration][proxy]") {
    const TemporaryFolder folder;
    for (const bool with_reset : {false, true}) {
        for (const std::string said : {"", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
                                       "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"}) {
            CAPTURE(said, with_reset);
            Origin leaver(leaving(said, with_reset));
            Origin origin([](const Asked& asked, Origin::Talk& talk) {
                talk.send(answer(asked.line().starts_with("HEAD") ? "" : "here"));
            });
            const TemporaryFolder own;
            const Server alone(own, passing_to({leaver.address()}));
            const auto final_status = [](const Server& server, const std::string& request) {
                Client client = server.connect();
                client.send(request);
                Response response = client.response();
                while (response.status == 103) response = client.response();
                return response.status;
            };
            CHECK(final_status(alone, get("/")) == 502);
            const Server server(folder, passing_to({leaver.address(), origin.address() + " backup"}, "",
                                                   "eject_failures = 0\n"));
            CHECK(final_status(server, get("/")) == 200);
            CHECK(final_status(server, "HEAD / HTTP/1.1\r\nHost: test\r\n\r\n") == 200);
            CHECK(final_status(server, "PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody") ==
                  200);
            CHECK(origin.asked().back().payload == "body");
            CHECK(origin.asked().size() == 3);
            CHECK(final_status(server, post("/", "body")) == 502);
            CHECK(final_status(server, "PATCH / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n") == 502);
            CHECK(origin.asked().size() == 3);
        }
    }
}

TEST_CASE("a kept connection that ends as it is used again is nobody's failure",
          "[integration][proxy][one-loop]") {
    const TemporaryFolder folder;
    for (const bool with_reset : {false, true}) {
        CAPTURE(with_reset);
        Origin origin([with_reset](const Asked& asked, Origin::Talk& talk) {
            if (asked.turn == 1) {
                talk.send(answer("fresh"));
            } else {
                with_reset ? talk.reset() : talk.close();
            }
        });
        const TemporaryFolder own;
        const Server server(own, passing_to({origin.address()}, "retries = 0\n"));
        for (int i = 0; i < 5; ++i) CHECK(server.get("/").body == "fresh");
        CHECK(origin.asked().size() == 9);  // each but the first was asked twice
        const std::size_t before = origin.asked().size();
        CHECK(server.ask(post("/", "once")).status == 502);  // it may have been seen
        CHECK(origin.asked().size() == before + 1);
    }
}

TEST_CASE("a kept connection that the peer has ended is not used for what cannot be asked twice",
          "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) {
        talk.send(answer("x"));
        if (talk.wait()) talk.close();
    });
    const Server server(folder, passing_to({origin.address()}));
    for (std::size_t i = 1; i <= 5; ++i) {
        CHECK(server.ask(post("/", "once")).status == 200);
        origin.go();
        eventually("it is closed", [&] { return origin.open() == 0; });
    }
    CHECK(origin.asked().size() == 5);
}

TEST_CASE("an answer that is cut never looks whole", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin backup(always(answer("never")));
    for (const bool with_reset : {false, true}) {
        CAPTURE(with_reset);
        Origin origin([with_reset](const Asked& asked, Origin::Talk& talk) {
            const std::map<std::string, std::string> said{
                {"/length", ok + "Content-Length: 10\r\n\r\nhalf"},
                {"/length-large", ok + "Content-Length: 1000000\r\n\r\n" + std::string(500'000, 'x')},
                {"/chunks", ok + chunked + "\r\n4\r\nhalf\r\n"},
                {"/chunk", ok + chunked + "\r\n8\r\nhalf"},
                {"/trailers", ok + chunked + "\r\n4\r\nhalf\r\n0\r\nX: y\r\n"}};
            talk.send(said.at(asked.target()));
            with_reset ? talk.reset() : talk.close();
        });
        const TemporaryFolder own;
        const Server server(
            own, passing_to({origin.address(), backup.address() + " backup"}, "", "eject_failures = 0\n"));
        for (const std::string target : {"/length", "/length-large", "/chunks", "/chunk", "/trailers"}) {
            CAPTURE(target);
            Client client = server.connect();
            client.send(get(target));
            const Response response = client.head();
            if (with_reset && response.status != 200) {  // what a reset overtook was never read
                CHECK((response.status == 0 || response.body != "never"));
                continue;
            }
            CHECK(response.status == 200);
            if (response.has("Content-Length")) {
                CHECK(client.rest().size() < std::stoull(response.field("Content-Length")));
            } else {
                CHECK_FALSE(take_chunks(client).whole);
                CHECK(client.ends());
            }
        }
    }
}

TEST_CASE("timeout bounds the whole, whatever moves", "[integration][proxy]") {
    const TemporaryFolder folder;
    SECTION("before the answer") {
        Origin mute(silent()), other(silent());
        const Server server(folder, passing_to({mute.address(), other.address()}, "timeout = 300ms\n"));
        CHECK(server.get("/").status == 504);
        CHECK(mute.asked().size() + other.asked().size() == 1);
    }
    SECTION("in its middle") {
        Origin origin([](const Asked&, Origin::Talk& talk) {
            talk.send(ok + "Content-Length: 1000000000\r\n\r\n");
            while (talk.send("x")) continue;
        });
        const Server server(folder, passing_to({origin.address()}, "timeout = 300ms\n"));
        Client client = server.connect();
        client.send(get("/"));
        CHECK(client.head().status == 200);
        CHECK(client.rest().size() < 1'000'000'000);
        eventually("nobody reads it any more", [&] { return origin.open() == 0; });
    }
}

TEST_CASE("when the client leaves, the peer is told at once", "[integration][proxy]") {
    const TemporaryFolder folder;
    SECTION("before the answer") {
        Origin origin(silent());
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect();
        client.send(get("/"));
        (void)origin.await();
        client.close();
        eventually("the peer is told", [&] { return origin.open() == 0; });
    }
    SECTION("in its middle") {
        Origin origin([](const Asked&, Origin::Talk& talk) {
            talk.send(ok + "Content-Length: 10\r\n\r\nhalf");
            talk.await_end();
        });
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect();
        client.send(get("/"));
        CHECK(client.head().status == 200);
        client.close();
        eventually("the peer is told", [&] { return origin.open() == 0; });
    }
    SECTION("in the middle of what it sends") {
        Origin origin(silent(), Calls::head);
        const Server server(folder, passing_to({origin.address()}));
        Client client = server.connect();
        client.send(upload + "half");
        (void)origin.await();
        client.close();
        eventually("the peer is told", [&] { return origin.open() == 0; });
    }
    SECTION("while a connection is made") {
        const DeafListener deaf;
        const Server server(folder, passing_to({deaf.address()}));
        const pid_t worker = server.status().workers.front().pid;
        const std::size_t before = descriptors(worker);
        Client client = server.connect();
        client.send(get("/"));
        eventually("it is begun", [&] { return descriptors(worker) == before + 2; });
        client.close();
        eventually("it is given up", [&] { return descriptors(worker) == before; });
    }
}

TEST_CASE("a client that is too slow or sends too much ends what the peer was told", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}, "body_timeout = 200ms\nbody_max = 8\n"));
    Client slow = server.connect();
    slow.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf");
    CHECK(slow.response().status == 408);
    CHECK(slow.ends());
    CHECK(server.ask(post("/", "123456789")).status == 413);
    Client large = server.connect();
    large.send("POST / HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n8\r\n12345678\r\n");
    large.send("8\r\n12345678\r\n0\r\n\r\n");
    CHECK(large.response().status == 413);
    CHECK(large.ends());
    eventually("the peer is told", [&] { return origin.open() == 0; });
    for (const Asked& asked : origin.asked()) CHECK_FALSE(asked.whole);
}

TEST_CASE("a peer may answer before it has heard all", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(
        [](const Asked&, Origin::Talk& talk) {
            talk.send(answer("too much", "Connection: close\r\n", 413));
            talk.await_end();
        },
        Calls::head);
    const Server server(folder, passing_to({origin.address()}, "body_max = 0\n"));
    Client client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n" +
                std::string(100'000, 'x'));
    const Response response = client.response();
    CHECK(response.status == 413);
    CHECK(response.body == "too much");
    client.close();
    eventually("the peer is told", [&] { return origin.open() == 0; });
}

TEST_CASE("an error page stands in for what no peer answered", "[integration][proxy]") {
    const TemporaryFolder folder;
    const auto with_page = [](const std::string& peer, const std::string& page) {
        Setup setup = passing_to({peer}, "error_page = 502 504 /sorry\n");
        setup.routes += page;
        return setup;
    };
    const std::string large(300'000, 'p');
    Origin pages(always(answer(large, "X-Page: yes\r\n")));
    const std::string from_origin =
        "[upstream pages]\npeer = " + pages.address() + "\n[route sorry]\npath = /sorry\nproxy = pages\n";
    SECTION("of our own") {
        const Server server(folder,
                            with_page(nobody(), "[route sorry]\npath = /sorry\nrespond = 200 \"sorry\"\n"));
        const Response response = server.get("/x");
        CHECK(response.status == 502);
        CHECK(response.body == "sorry");
    }
    SECTION("not for an error that the peer itself says") {
        Origin origin(always(answer("its own", "", 502)));
        const Server server(folder, with_page(origin.address(), from_origin));
        CHECK(server.get("/x").body == "its own");
    }
    SECTION("of another peer") {
        const Server server(folder, with_page(nobody(), from_origin));
        const Response response = server.get("/x?y=z");
        CHECK(response.status == 502);
        CHECK((response.body == large));
        CHECK(response.field("X-Page") == "yes");
        const Asked asked = pages.await();
        CHECK(asked.line() == "GET /sorry HTTP/1.1");
        CHECK_FALSE(asked.has("Content-Length"));
    }
    SECTION("of another peer, for HEAD") {
        const Server server(folder, with_page(nobody(), from_origin));
        Client client = server.connect();
        client.send("HEAD /x HTTP/1.1\r\nHost: test\r\n\r\n" + get("/next"));
        const Response response = client.response(Body::none);
        CHECK(response.status == 502);
        CHECK(response.field("Content-Length") == "300000");
        CHECK((client.response().body == large));
    }
    SECTION("of another peer, which gets nothing of the client's body") {
        for (const std::string& peer : {nobody(), "unix:" + folder.path("none")}) {
            CAPTURE(peer);
            const TemporaryFolder own;
            const Server server(own, with_page(peer, from_origin));
            const std::size_t before = pages.asked().size();
            Client client = server.connect();
            client.send(post_stolen(2000) + get("/next"));
            CHECK((client.response().body == large));
            CHECK((client.response().body == large));
            for (std::size_t i = before; i < pages.asked().size(); ++i) {
                const Asked asked = pages.asked()[i];
                CAPTURE(asked.head, asked.body);
                CHECK(asked.line() == "GET /sorry HTTP/1.1");
            }
            CHECK(pages.asked().size() == before + 2);
        }
    }
    SECTION("of a peer that fails as well") {
        const Server server(folder, with_page(nobody(), "[route sorry]\npath = /sorry\nproxy = origin\n"));
        CHECK(server.get("/x").status == 502);
        CHECK(server.ask(post("/x", "body")).status == 502);
    }
    SECTION("of a peer that fails later, and gets nothing of the body either") {
        Origin failing(
            [](const Asked&, Origin::Talk& talk) {
                (void)talk.receive();
                talk.reset();
            },
            Calls::head);
        const Server server(folder, with_page(failing.address(), from_origin));
        for (int i = 0; i < 20; ++i) {
            const std::size_t before = pages.asked().size();
            Client client = server.connect();
            client.send(post_stolen(5000));
            CHECK((client.response().body == large));
            const auto asked = pages.asked();
            REQUIRE(asked.size() == before + 1);
            CHECK(asked.back().line() == "GET /sorry HTTP/1.1");
        }
    }
}

TEST_CASE("an error page of a peer is one answer, whoever refused the request", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin pages(always(answer("the page")));
    Setup setup = passing_to({pages.address()});
    setup.server = "error_page = 400 404 405 408 413 417 429 /page\nbody_max = 10\nheader_timeout = 1s\n";
    setup.routes = "[upstream pages]\npeer = " + pages.address() +
                   "\n[route page]\npath = = /page\nproxy = pages\n"
                   "[route files]\npath = /files/\nfiles = @folder@/www\n"
                   "[route text]\npath = = /text\nmethods = GET\nrespond = 200 \"text\"\n"
                   "[route rare]\npath = = /rare\nlimit_rate = 1/m\nrespond = 200 \"rare\"\n";
    const Server server(folder, setup);
    Client client = server.connect();
    const auto is_page = [&](const std::string& request, int status) {
        CAPTURE(request);
        client.send(request);
        const Response page = client.response();
        CHECK(page.status == status);
        CHECK(page.body == "the page");
    };
    SECTION("and the connection goes on") {
        (void)server.get("/rare");
        for (int i = 0; i < 2; ++i) {
            is_page(get("/files/none"), 404);
            is_page(get("/nobody/has/this"), 404);
            is_page(post("/text", "a body"), 405);
            is_page(post("/files/none", "a body"), 405);
            is_page(get("/rare"), 429);
            client.send(get("/nobody") + get("/text"));
            CHECK(client.response().body == "the page");
            CHECK(client.response().body == "text");
        }
    }
    SECTION("or ends, where what follows cannot be read") {
        SECTION("a head that is none") {
            is_page("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + get("/text"), 400);
        }
        SECTION("a body that is too large") { is_page(post("/rare", "eleven byte"), 413); }
        SECTION("a body that grows too large") {
            is_page(
                "POST /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\neleven byte\r\n",
                413);
        }
        SECTION("a chunk that is none") {
            is_page("POST /rare HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400);
        }
        SECTION("an expectation that nobody knows") {
            is_page("GET /text HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417);
        }
        SECTION("a head that does not come") { is_page("GET / HTTP/1.1\r\nHost: a\r\n", 408); }
        CHECK(client.ends());
    }
    CHECK(server.get("/text").body == "text");
}
