// The proxy and what two readers could take for two things: none of it is passed on.
#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

TEST_CASE("of a request that two readers could take for two, the peer sees nothing", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}));
    const auto check = [&](const std::string& bytes, int status) {
        CAPTURE(bytes);
        Client client = server.connect();
        client.send(bytes + get("/second"));
        CHECK(client.response().status == status);
        CHECK(client.ends());
        CHECK(origin.accepted() == 0);
    };
    for (const std::string lines : {
             "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
             "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
             "Content-Length: 5\r\nContent-Length: 5\r\n",
             "Content-Length: 5\r\nContent-Length: 6\r\n",
             "Content-Length: 5, 5\r\n",
             "Content-Length: +5\r\n",
             "Content-Length: -5\r\n",
             "Content-Length: 5 5\r\n",
             "Content-Length: 0x5\r\n",
             "Content-Length: 5;\r\n",
             "Content-Length: \r\n",
             "Content-Length: 18446744073709551621\r\n",
             "Content-Length : 5\r\n",
             "Content-Length\t: 5\r\n",
             " Content-Length: 5\r\n",
             "Content_Length: 5\r\nContent-Length: x\r\n",
             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
             "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
             "Transfer-Encoding : chunked\r\n",
             "Transfer-Encoding:\r\n chunked\r\n",
             "Transfer-Encoding:\n chunked\r\n",
             "X: y\r\n Transfer-Encoding: chunked\r\n",
             "X: y\nTransfer-Encoding: chunked\r\n",
             "X: y\rTransfer-Encoding: chunked\r\n",
             "Transfer-Encoding: \x0b"
             "chunked\r\n",
             "Transfer-Encoding: chunked, identity\r\n",
             "X: a\n",
         }) {
        check("POST /first HTTP/1.1\r\nHost: test\r\n" + lines + "\r\nhello", 400);
    }
    for (const std::string coding : {"identity", "xchunked", "chunked;q=1", "\"chunked\"", "cow"})
        check(post_chunks("0\r\n\r\n", "Transfer-Encoding: " + coding + "\r\n"), 400);
    for (const std::string coding : {"", "gzip, chunked"})
        check(post_chunks("0\r\n\r\n", "Transfer-Encoding: " + coding + "\r\n"), 501);
    check("POST /first HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    check("POST /first HTTP/1.1\nHost: test\n\n", 400);
    check("GET /first HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    check("GET /first HTTP/1.1\r\n\r\n", 400);
}

TEST_CASE("what follows a bad chunk is no request, and no end of the one before", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}));
    for (const std::string chunks :
         {"x\r\n", "5\r\nhelloX\r\n", "-1\r\n", "5 \r\nhello\r\n0\r\n\r\n", "fffffffffffffffff\r\n",
          "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n",
          "0x5\r\nhello\r\n0\r\n\r\n", "5;a\nb\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\n",
          "0\r\nbad trailer\r\n\r\n"}) {
        CAPTURE(chunks);
        Client client = server.connect();
        client.send(post_chunks(chunks) + get("/second"));
        CHECK(client.response().status == 400);
        CHECK(client.ends());
    }
    eventually("nobody waits for the rest", [&] { return origin.open() == 0; });
    for (const Asked& asked : origin.asked()) {
        CHECK(asked.target() == "/first");
        CHECK_FALSE(asked.whole);
    }
}

TEST_CASE("an answer that two readers could take for two is 502", "[integration][proxy]") {
    const TemporaryFolder folder;
    std::string many;
    for (int i = 0; i < 300; ++i) many += "A: b\r\n";
    const std::vector<std::string> answers{
        ok + "Content-Length: 5\r\n" + chunked + "\r\n5\r\nhello\r\n0\r\n\r\n",
        ok + chunked + "Content-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ok + "Content-Length: 5, 5\r\n\r\nhello",
        ok + "Content-Length: +5\r\n\r\nhello",
        ok + "Content-Length: -5\r\n\r\nhello",
        ok + "Content-Length: 5 5\r\n\r\nhello",
        ok + "Content-Length: 0x5\r\n\r\nhello",
        ok + "Content-Length: 18446744073709551621\r\n\r\nhello",
        ok + "Content-Length: \r\n\r\nhello",
        ok + "Content-Length : 5\r\n\r\nhello",
        ok + " Content-Length: 5\r\n\r\nhello",
        ok + "X: y\r\n Content-Length: 5\r\n\r\nhello",
        ok + "X: y\nContent-Length: 5\r\n\r\nhello",
        ok + "X: y\rContent-Length: 5\r\n\r\nhello",
        ok + std::string("X: a\0b\r\n", 8) + "Content-Length: 5\r\n\r\nhello",
        ok + "X y: z\r\nContent-Length: 5\r\n\r\nhello",
        ok + ": z\r\nContent-Length: 5\r\n\r\nhello",
        ok + "nothing\r\nContent-Length: 5\r\n\r\nhello",
        ok + chunked + chunked + "\r\n5\r\nhello\r\n0\r\n\r\n",
        ok + "Transfer-Encoding: identity\r\n\r\nhello",
        ok + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ok + "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n" + chunked + "\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/2 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 99 No\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 600 No\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200OK\r\nContent-Length: 5\r\n\r\nhello",
        "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "hello",
        ok + many + "Content-Length: 5\r\n\r\nhello",
        ok + "X: " + std::string(70'000, 'x') + "\r\nContent-Length: 5\r\n\r\nhello",
        ok + "X: " + std::string(1'000'000, 'x'),
        "HTTP/1.1 200 " + std::string(70'000, 'x') + "\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 103 Hints\r\nContent-Length: x\r\n\r\n" + answer("hello"),
    };
    Origin origin([&](const Asked& asked, Origin::Talk& talk) {
        talk.send(answers[std::stoul(asked.target().substr(1))]);
        talk.await_end();
    });
    const Server server(folder, passing_to({origin.address()}));
    Client client = server.connect();
    for (std::size_t i = 0; i < answers.size(); ++i) {
        CAPTURE(answers[i].substr(0, 200));
        client.send(get("/" + std::to_string(i)));
        CHECK(client.response().status == 502);
        eventually("it is not spoken to any more", [&] { return origin.open() == 0; });
    }
}

TEST_CASE("an answer with a bad chunk never looks whole", "[integration][proxy]") {
    const TemporaryFolder folder;
    const std::vector<std::string> bodies{"5\r\nhelloX\r\n0\r\n\r\n",
                                          "x\r\nhello\r\n0\r\n\r\n",
                                          "-5\r\nhello\r\n0\r\n\r\n",
                                          "5 5\r\nhello\r\n0\r\n\r\n",
                                          "fffffffffffffffff\r\nhello",
                                          "5\r\nhello\r\n0x0\r\n\r\n",
                                          "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"};
    Origin origin([&](const Asked& asked, Origin::Talk& talk) {
        talk.send(ok + chunked + "\r\n" + bodies[std::stoul(asked.target().substr(1))]);
    });
    const Server server(folder, passing_to({origin.address()}));
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        CAPTURE(bodies[i]);
        Client client = server.connect();
        client.send(get("/" + std::to_string(i)));
        const Response response = client.head();
        if (response.status == 502) continue;
        CHECK(response.status == 200);
        CHECK_FALSE(take_chunks(client).whole);
        CHECK(client.ends());
    }
    eventually("it is not spoken to any more", [&] { return origin.open() == 0; });
}

TEST_CASE("nobody gets what a peer says beyond its answer", "[integration][proxy]") {
    const TemporaryFolder folder;
    const std::string evil = answer("evil");
    SECTION("at once") {
        Origin origin(by_target({{"/length", answer("good") + evil},
                                 {"/none", "HTTP/1.1 204 None\r\n\r\n" + evil},
                                 {"/head", ok + "Content-Length: 4\r\n\r\n" + evil},
                                 {"/chunks", ok + chunked + "\r\n4\r\ngood\r\n0\r\n\r\n" + evil},
                                 {"/next", answer("good")}}));
        const Server server(folder, passing_to({origin.address()}));
        for (const std::string target : {"/length", "/none", "/head", "/chunks"}) {
            CAPTURE(target);
            Client client = server.connect();
            client.send((target == "/head" ? "HEAD " : "GET ") + target +
                        " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            CHECK_FALSE(contains(client.rest(), "evil"));
            CHECK(server.get("/next").body == "good");
        }
    }
    SECTION("later") {
        Origin origin([&](const Asked&, Origin::Talk& talk) {
            talk.send(answer("good"));
            if (talk.wait()) talk.send(evil);
        });
        const Server server(folder, passing_to({origin.address()}));
        CHECK(server.get("/").body == "good");
        CHECK(origin.open() == 1);
        origin.go();
        eventually("it is not spoken to any more", [&] { return origin.open() == 0; });
        CHECK(server.get("/").body == "good");
    }
}
