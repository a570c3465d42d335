// A fan-out on the real program: what has come in time makes the answer, and nothing is left behind.
#include <deque>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

/// An upstream for each origin, named a, b, c..., and one route for all of them.
Setup gathering(const std::vector<std::string>& addresses, const std::string& route_lines,
                const std::string& upstream_lines = "") {
    Setup setup{.execution = "workers = 1\n"};
    std::string parts;
    setup.routes.clear();
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const std::string name(1, static_cast<char>('a' + i));
        setup.routes += "[upstream " + name + "]\npeer = " + addresses[i] + "\n" + upstream_lines;
        parts += " " + name;
    }
    setup.routes += "[route all]\npath = /\nfanout =" + parts + "\n" + route_lines;
    return setup;
}

Origin::Script json(const std::string& text) {
    return always(answer(text, "Content-Type: application/json\r\n"));
}

}  // namespace

TEST_CASE("parts are merged in the order of the configuration", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin one(json("{\"x\":1}")), two(json("[2]")), three(json("3"));
    const std::vector<std::string> all{one.address(), two.address(), three.address()};
    SECTION("as an object") {
        const Server server(folder, gathering(all, ""));
        const Response response = server.get("/p?q=1");
        CHECK(response.status == 200);
        CHECK(response.body == "{\"a\":{\"x\":1},\"b\":[2],\"c\":3}");
        CHECK(response.field("Content-Type") == "application/json");
        CHECK(response.field("Reeve-Fanout") == "complete; ok=3/3");
        CHECK_FALSE(response.has("Cache-Control"));
        CHECK(two.await().target() == "/p?q=1");
    }
    SECTION("as an array") {
        const Server server(folder, gathering(all, "merge = array\n"));
        CHECK(server.get("/").body == "[{\"x\":1},[2],3]");
    }
    SECTION("one behind the other") {
        const Server server(folder, gathering(all, "merge = concat\n"));
        CHECK(server.get("/").body == "{\"x\":1}[2]3");
    }
}

TEST_CASE("what is late is left out, marked, and cancelled", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin quick(json("1")), mute(silent());
    const Server server(folder, gathering({quick.address(), mute.address()}, "deadline = 200ms\n"));
    const auto begun = Clock::now();
    const Response response = server.get("/");
    CHECK(Clock::now() - begun >= std::chrono::milliseconds(195));
    CHECK(response.status == 200);
    CHECK(response.body == "{\"a\":1}");
    CHECK(response.field("Reeve-Fanout") == "partial; ok=1/2; missing=b:timeout");
    CHECK(response.field("Cache-Control") == "no-store");
    const int left = std::stoi(mute.await().field("Reeve-Time-Left-Ms"));
    CHECK(left > 0);
    CHECK(left <= 200);
    eventually("the straggler is cancelled", [&] { return mute.open() == 0; });
}

TEST_CASE("without a required part there is no answer, and nobody waits for the others",
          "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin mute(silent());
    const Server server(folder, gathering({nobody(), mute.address()}, "required = a\n"));
    const Response response = server.get("/");
    CHECK(response.status == 502);
    CHECK(response.field("Reeve-Fanout") == "failed; ok=0/2; missing=a:connect,b:cancelled");
    eventually("nothing is left open", [&] { return mute.open() == 0; });
}

TEST_CASE("too few good parts are no answer", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin good(json("1")), bad(always(answer("no", "", 500))), odd(json("{not json"));
    const Server server(
        folder, gathering({good.address(), bad.address(), odd.address()}, "quorum = 2\ndeadline = 5s\n"));
    const Response response = server.get("/");
    CHECK(response.status == 502);
    CHECK(response.field("Reeve-Fanout") == "failed; ok=1/3; missing=b:status,c:malformed");
}

TEST_CASE("the first good part is the answer, and the others are cancelled", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin mute(silent()), bad(always(answer("no", "", 503))), good(always(answer("me", "X-Own: 1\r\n")));
    const Server server(
        folder, gathering({mute.address(), bad.address(), good.address()}, "merge = first\ndeadline = 5s\n"));
    const Response response = server.get("/");
    CHECK(response.body == "me");
    CHECK(response.field("Reeve-Fanout") == "complete; ok=1/3; from=c");
    eventually("nothing is left open", [&] { return mute.open() == 0; });
}

TEST_CASE("a part that is too large is left out", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin small(json("1")), large(json(std::string(3000, '1')));
    Origin endless([](const Asked&, Origin::Talk& talk) {
        talk.send(ok + chunked + "\r\n");
        while (talk.send(chunk(std::string(1000, '2')))) continue;
    });
    const Server server(folder, gathering({small.address(), large.address(), endless.address()},
                                          "part_max = 2k\ndeadline = 5s\n"));
    const Response response = server.get("/");
    CHECK(response.body == "{\"a\":1}");
    CHECK(response.field("Reeve-Fanout") == "partial; ok=1/3; missing=b:too_large,c:too_large");
}

TEST_CASE("a part is asked for all of it, whatever the client wants of the answer", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin origin(json("1"));
    const Server server(folder, gathering({origin.address()}, ""));
    Client client = server.connect();
    client.send(
        "HEAD / HTTP/1.1\r\nHost: test\r\nRange: bytes=0-1\r\nIf-None-Match: \"x\"\r\n"
        "Accept-Encoding: gzip\r\nX-Own: 1\r\n\r\n");
    const Response response = client.response(Body::none);
    CHECK(response.status == 200);
    CHECK(response.field("Content-Length") == "7");
    const Asked asked = origin.await();
    CHECK(asked.line() == "GET / HTTP/1.1");
    CHECK(asked.field("X-Own") == "1");
    for (const char* name : {"Range", "If-None-Match"}) CHECK_FALSE(asked.has(name));
    CHECK(asked.field("Accept-Encoding") == "identity");
}

TEST_CASE("a part that is encoded although it was asked not to be is left out", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin plain(always(answer("1", "Content-Type: application/json\r\nContent-Encoding: identity\r\n")));
    Origin encoded(always(answer("2", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n")));
    SECTION("of several") {
        const Server server(folder, gathering({encoded.address(), plain.address()}, ""));
        const Response response = server.get("/");
        CHECK(response.body == "{\"b\":1}");
        CHECK(response.field("Reeve-Fanout") == "partial; ok=1/2; missing=a:malformed");
    }
    SECTION("of whom the first good one is the answer") {
        const Server server(folder, gathering({encoded.address(), plain.address()}, "merge = first\n"));
        CHECK(server.get("/").body == "1");
    }
    SECTION("and without another one there is no answer") {
        const Server server(folder, gathering({encoded.address()}, "merge = concat\n"));
        CHECK(server.get("/").status == 502);
    }
}

TEST_CASE("a body goes to every part, up to a bound", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin one(json("1")), two(json("2"));
    const Server server(folder, gathering({one.address(), two.address()}, "buffer = 4k\n"));
    SECTION("with a length") {
        CHECK(server.ask(post("/", "what")).status == 200);
        CHECK(one.await().payload == "what");
        CHECK(two.await().payload == "what");
    }
    SECTION("in chunks") {
        CHECK(server.ask(post_chunks(chunk("wh") + chunk("at") + "0\r\n\r\n")).status == 200);
        CHECK(one.await().payload == "what");
        CHECK(one.await().field("Content-Length") == "4");
    }
    SECTION("too large") {
        CHECK(server.ask(post("/", std::string(5000, 'x'))).status == 413);
        CHECK(one.accepted() == 0);
    }
}

TEST_CASE("a client that leaves takes all parts along", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin one(silent()), two(silent());
    const Server server(folder, gathering({one.address(), two.address()}, "deadline = 50s\n"));
    {
        Client client = server.connect();
        client.send(get("/"));
        (void)one.await();
        (void)two.await();
    }
    eventually("nothing is left open", [&] { return one.open() == 0 && two.open() == 0; });
}

TEST_CASE("the same part may be asked for several paths, and lends its fields", "[integration][fanout]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        talk.send(answer(
            "\"" + asked.target() + "\"",
            "Content-Type: application/json\r\nX-Of: " + asked.target() +
                "\r\nETag: \"own\"\r\nContent-Digest: sha-256=:AA==:\r\nContent-MD5: AA==\r\n"
                "Content-Range: bytes 0-1/9\r\nContent-Location: /own\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"));
    });
    Setup setup{.execution = "workers = 1\n"};
    setup.routes = "[upstream u]\npeer = " + origin.address() +
                   "\n[route all]\npath = /\nfanout = a=u/x?y=1 b=u/z u\nheader_from = b\n";
    const Server server(folder, setup);
    const Response response = server.get("/asked");
    CHECK(response.body == "{\"a\":\"/x?y=1\",\"b\":\"/z\",\"u\":\"/asked\"}");
    CHECK(response.field("X-Of") == "/z");
    for (const char* name : {"ETag", "Content-Digest", "Content-MD5", "Content-Range", "Content-Location"})
        CHECK_FALSE(response.has(name));
    CHECK_FALSE(response.has("X-Hop"));
}

TEST_CASE("hundreds of partial answers leave no connection behind", "[integration][fanout]") {
    const TemporaryFolder folder;
    std::deque<Origin> origins;
    std::vector<std::string> addresses;
    for (int i = 0; i < 3; ++i) addresses.push_back(origins.emplace_back(json(std::to_string(i))).address());
    origins.emplace_back(silent());
    addresses.push_back(origins.back().address());
    const Server server(folder, gathering(addresses, "merge = array\nquorum = 0\ndeadline = 20ms\n"));
    const std::size_t before = descriptors(server.status().workers.front().pid);
    Client client = server.connect();
    for (int i = 0; i < 200; ++i) {
        client.send(get("/"));
        const Response response = client.response();
        REQUIRE(response.status == 200);
        REQUIRE(contains(response.field("Reeve-Fanout"), "d:timeout"));
    }
    client.close();
    eventually("what was opened is closed, but for the connections that are kept",
               [&] { return descriptors(server.status().workers.front().pid) <= before + 6; });
    eventually("the straggler's too", [&] { return origins.back().open() == 0; });
}
