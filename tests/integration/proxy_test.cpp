// The proxy: what of a request a peer sees, and what of its answer a client does.
#include <algorithm>
#include <regex>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

/// What the origin was asked when the server was asked so.
Asked passed_on(const Server& server, const Origin& origin, const std::string& request) {
    const std::size_t before = origin.asked().size();
    const Response response = server.ask(request);
    CAPTURE(request, response.head);
    CHECK(response.status == 200);
    const auto asked = origin.asked();
    REQUIRE(asked.size() == before + 1);
    return asked.back();
}

std::string target_of(const Server& server, const Origin& origin, const std::string& target) {
    return passed_on(server, origin, get(target)).target();
}

bool matches(const std::string& text, const std::string& pattern) {
    return std::regex_match(text, std::regex(pattern));
}

}  // namespace

TEST_CASE("a request reaches the peer and its answer the client", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(
        always(answer("from the origin", "Content-Type: text/x\r\nX-Own: kept\r\nX-Own: twice\r\n", 203)));
    const Server server(folder, passing_to({origin.address()}));
    const Response response = server.ask(
        "PUT /a/b?c=d&e HTTP/1.1\r\nHost: site.example:81\r\nAccept: text/x\r\nX-Mine: a\r\nX-Mine: b\r\n"
        "Cookie: x=1\r\nAuthorization: Basic abc\r\nContent-Length: 4\r\n\r\nbody");
    CHECK(response.status == 203);
    CHECK(response.body == "from the origin");
    CHECK(response.field("Content-Type") == "text/x");
    CHECK(contains(response.head, "X-Own: kept\r\nX-Own: twice\r\n"));
    CHECK(count(response.head, "Date: ") == 1);
    CHECK(response.field("Server") == "reeve");

    const Asked asked = origin.await();
    CHECK(asked.line() == "PUT /a/b?c=d&e HTTP/1.1");
    CHECK(asked.body == "body");
    CHECK(asked.field("Host") == "site.example:81");
    CHECK(asked.count("Host") == 1);
    CHECK(asked.field("Accept") == "text/x");
    CHECK(contains(asked.head, "X-Mine: a\r\nX-Mine: b\r\n"));
    CHECK(asked.field("Cookie") == "x=1");
    CHECK(asked.field("Authorization") == "Basic abc");
    CHECK(asked.field("Content-Length") == "4");
    CHECK(asked.count("Content-Length") == 1);
    CHECK_FALSE(asked.has("Transfer-Encoding"));
    CHECK_FALSE(asked.has("Connection"));
}

TEST_CASE("what belongs to the client's connection does not reach the peer", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}));
    const Asked asked = passed_on(server, origin,
                                  get("/",
                                      "Connection: keep-alive, X-Mine\r\nConnection: X-Other, close\r\n"
                                      "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"
                                      "TE: trailers, deflate\r\nTrailer: X\r\nUpgrade: h2c\r\nX-Mine: 1\r\n"
                                      "x-OTHER: 2\r\nX-Stays: 3\r\n"));
    for (const std::string name : {"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
                                   "X-Mine", "X-Other", "Transfer-Encoding", "Content-Length", "Expect"}) {
        CAPTURE(name);
        CHECK_FALSE(asked.has(name));
    }
    CHECK(asked.field("X-Stays") == "3");
}

TEST_CASE("naming our own lines in Connection does not take them away", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}, "set_header = X-Real: $remote_addr\n"));
    const Asked asked = passed_on(
        server, origin,
        get("/",
            "Connection: close, X-Real, X-Forwarded-For, X-Forwarded-Proto, Host, Via, Content-Length\r\n"));
    CHECK(asked.field("X-Real") == "127.0.0.1");
    CHECK(asked.field("X-Forwarded-For") == "127.0.0.1");
    CHECK(asked.field("X-Forwarded-Proto") == "http");
    CHECK(asked.field("Host") == "test");
    CHECK(asked.has("Via"));
}

TEST_CASE("what belongs to the peer's connection does not reach the client", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(
        always(answer("x",
                      "Connection: X-Mine, close\r\nKeep-Alive: timeout=9\r\nProxy-Connection: close\r\n"
                      "X-Mine: 1\r\nUpgrade: h2c\r\nTrailer: X\r\nTE: x\r\nServer: other/1\r\n"
                      "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\nX-Stays: 2\r\n")));
    const Server server(folder, passing_to({origin.address()}));
    Client client = server.connect();
    client.send(get("/"));
    const Response response = client.response();
    for (const std::string name :
         {"Connection", "Keep-Alive", "Proxy-Connection", "X-Mine", "Upgrade", "Trailer", "TE"}) {
        CAPTURE(name);
        CHECK_FALSE(response.has(name));
    }
    CHECK(response.field("X-Stays") == "2");
    CHECK(count(response.head, "Date: ") == 1);
    CHECK_FALSE(contains(response.head, "2001"));
    CHECK(count(response.head, "Server: ") == 1);
    CHECK(response.field("Server") == "reeve");
    client.send(get("/again"));  // the peer's close is not ours
    CHECK(client.response().status == 200);
}

TEST_CASE("the peer hears of the client, behind what others said", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const std::string said =
        "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: liar\r\nForwarded: for=10.0.0.3\r\nVia: 1.0 fred\r\n";
    SECTION("by X-Forwarded as a default") {
        const Server server(folder, passing_to({origin.address()}));
        const Asked first = passed_on(server, origin, get("/"));
        CHECK(first.field("X-Forwarded-For") == "127.0.0.1");
        CHECK(first.field("X-Forwarded-Proto") == "http");
        CHECK(first.field("X-Forwarded-Host") == "test");
        CHECK(first.field("Via") == "1.1 reeve");
        CHECK_FALSE(first.has("Forwarded"));
        const Asked asked = passed_on(server, origin, get("/", said));
        CHECK(asked.field("X-Forwarded-For") == "10.0.0.1, 10.0.0.2, 127.0.0.1");
        CHECK(asked.count("X-Forwarded-For") == 1);
        CHECK(asked.field("X-Forwarded-Proto") == "http");
        CHECK(asked.count("X-Forwarded-Proto") == 1);
        CHECK(asked.field("X-Forwarded-Host") == "test");
        CHECK(asked.count("X-Forwarded-Host") == 1);
        CHECK(asked.field("Via") == "1.0 fred, 1.1 reeve");
        CHECK(asked.count("Via") == 1);
    }
    SECTION("by Forwarded") {
        const Server server(folder, passing_to({origin.address()}, "forwarded = forwarded\n"));
        CHECK(passed_on(server, origin, get("/")).field("Forwarded") ==
              "for=127.0.0.1;host=\"test\";proto=http");
        const Asked asked = passed_on(server, origin, get("/", said));
        CHECK(asked.field("Forwarded") == "for=10.0.0.3, for=127.0.0.1;host=\"test\";proto=http");
        CHECK(asked.count("Forwarded") == 1);
        CHECK(asked.count("X-Forwarded-For") == 2);  // as the client sent them
    }
    SECTION("by both") {
        const Server server(folder, passing_to({origin.address()}, "forwarded = both\n"));
        const Asked asked = passed_on(server, origin, get("/", said));
        CHECK(asked.field("X-Forwarded-For") == "10.0.0.1, 10.0.0.2, 127.0.0.1");
        CHECK(asked.field("Forwarded") == "for=10.0.0.3, for=127.0.0.1;host=\"test\";proto=http");
    }
    SECTION("or not at all") {
        const Server server(folder, passing_to({origin.address()}, "forwarded = off\n"));
        const Asked bare = passed_on(server, origin, get("/"));
        for (const std::string name :
             {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"})
            CHECK_FALSE(bare.has(name));
        CHECK(passed_on(server, origin, get("/", said)).field("X-Forwarded-Proto") == "https");
    }
}

TEST_CASE("requests get an id and a trace, unless they have them", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    SECTION("made") {
        const Server server(folder, passing_to({origin.address()}));
        const Asked first = passed_on(server, origin, get("/")), second = passed_on(server, origin, get("/"));
        CHECK(matches(first.field("X-Request-Id"), "[0-9a-f]{32}"));
        CHECK(matches(first.field("traceparent"), "00-[0-9a-f]{32}-[0-9a-f]{16}-01"));
        CHECK(first.field("X-Request-Id") != second.field("X-Request-Id"));
        CHECK(first.field("traceparent") != second.field("traceparent"));
    }
    SECTION("passed on") {
        const Server server(folder, passing_to({origin.address()}));
        const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        const Asked asked =
            passed_on(server, origin,
                      get("/", "x-request-id: mine\r\ntraceparent: " + trace + "\r\ntracestate: a=b\r\n"));
        CHECK(asked.field("X-Request-Id") == "mine");
        CHECK(asked.count("X-Request-Id") == 1);
        CHECK(asked.field("traceparent") == trace);
        CHECK(asked.count("traceparent") == 1);
        CHECK(asked.field("tracestate") == "a=b");
    }
    SECTION("not made") {
        const Server server(folder, passing_to({origin.address()}, "request_id = off\ntrace = off\n"));
        const Asked asked = passed_on(server, origin, get("/"));
        CHECK_FALSE(asked.has("X-Request-Id"));
        CHECK_FALSE(asked.has("traceparent"));
    }
}

TEST_CASE("set_header makes, replaces and takes away what the peer sees", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(
        folder, passing_to({origin.address()},
                           "set_header = Host: inner.example\n"
                           "set_header = X-Made: $request_method $uri from $remote_addr$is_args$args\n"
                           "set_header = X-Replaced: ours\n"
                           "set_header = Cookie:\n"
                           "set_header = X-Forwarded-Proto: https\n"
                           "set_header = User-Agent: $$\n"));
    const Asked asked = passed_on(
        server, origin,
        get("/a%20b?c", "X-Replaced: theirs\r\nx-replaced: twice\r\nCookie: secret\r\ncookie: more\r\n"));
    CHECK(asked.field("Host") == "inner.example");
    CHECK(asked.count("Host") == 1);
    CHECK(asked.field("X-Made") == "GET /a b from 127.0.0.1?c");
    CHECK(asked.field("X-Replaced") == "ours");
    CHECK(asked.count("X-Replaced") == 1);
    CHECK_FALSE(asked.has("Cookie"));
    CHECK(asked.field("X-Forwarded-Proto") == "https");
    CHECK(asked.count("X-Forwarded-Proto") == 1);
    CHECK(asked.field("User-Agent") == "$");
}

TEST_CASE("no variable of set_header makes a second line", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(
        folder, passing_to({origin.address()}, "set_header = X-Made: $uri $request_uri $args $host\n"));
    for (const std::string target : {"/a%0d%0aX-Evil:%201", "/a%0aX-Evil:1", "/%0d", "/a%00b", "/a%7fb"}) {
        CAPTURE(target);
        CHECK(server.get(target).status == 400);
    }
    CHECK(origin.asked().empty());
    const Asked asked = passed_on(server, origin, get("/a?x=%0d%0aX-Evil:%201"));
    CHECK_FALSE(asked.has("X-Evil"));
    CHECK(asked.field("X-Made") == "/a /a?x=%0d%0aX-Evil:%201 x=%0d%0aX-Evil:%201 test");
}

TEST_CASE("hide_header keeps lines from the client", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("", "X-Secret: 1\r\nx-powered-by: y\r\nX-Secret: 2\r\nX-Open: 3\r\n")));
    const Server server(folder, passing_to({origin.address()}, "hide_header = X-SECRET X-Powered-By\n"));
    const Response response = server.get("/");
    CHECK_FALSE(response.has("X-Secret"));
    CHECK_FALSE(response.has("X-Powered-By"));
    CHECK(response.field("X-Open") == "3");
}

TEST_CASE("add_header stands in answers of peers too", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}, "add_header = X-Added: yes\n"));
    CHECK(server.get("/").field("X-Added") == "yes");
}

TEST_CASE("the peer never sees a path that was not routed", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}));
    struct Case {
        std::string sent, seen;
    };
    for (const auto& [sent, seen] : std::vector<Case>{
             {"/a/../b", "/b"},
             {"/a/./b/", "/a/b/"},
             {"//x", "/x"},
             {"/a//b///c", "/a/b/c"},
             {"/a/%2e%2e/b", "/b"},
             {"/a/%2E./b?q=/../x", "/b?q=/../x"},
             {"/a/..%2fb", "/b"},
             {"/a%2f%2fb", "/a/b"},
             {"/a/b/..", "/a/"},
             {"/a%2Fb", "/a%2Fb"},
             {"/a%2fb%3Fc", "/a%2fb%3Fc"},
             {"/%7Euser/a%20b", "/%7Euser/a%20b"},
             {"/caf%C3%A9", "/caf%C3%A9"},
             {"/a%25b", "/a%25b"},
             {"/a;v=1/b,c", "/a;v=1/b,c"},
             {"/a%20b/../c%20d", "/c%20d"},
             {"/a?", "/a?"},
             {"/?a=%2e%2e//", "/?a=%2e%2e//"},
             {"http://other.example/x//y?z", "/x/y?z"},
             {"http://other.example", "/"},
         }) {
        CAPTURE(sent);
        CHECK(target_of(server, origin, sent) == seen);
    }
    const auto before = origin.asked().size();
    for (const std::string target :
         {"/..", "/a/../../b", "/%2e%2e/x", "/x%2f..%2f..%2fy", "/%", "/%zz", "/a\\b"}) {
        CAPTURE(target);
        CHECK(server.get(target).status == 400);
    }
    CHECK(origin.asked().size() == before);
}

TEST_CASE("the host of an absolute target is the one that the peer sees", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}));
    CHECK(passed_on(server, origin, get("http://there.example:81/x")).field("Host") == "there.example:81");
    const Asked old = passed_on(server, origin, "GET /old HTTP/1.0\r\n\r\n");
    CHECK(old.line() == "GET /old HTTP/1.1");
    CHECK(old.count("Host") == 1);
}

TEST_CASE("strip_prefix takes the route's path from the peer's", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Setup setup{.execution = "workers = 1\n",
                      .routes = "[upstream origin]\npeer = " + origin.address() +
                                "\n[route api]\npath = /api/\nproxy = origin\nstrip_prefix = on\n"
                                "[route v1]\npath = /v1\nproxy = origin\nstrip_prefix = on\n"};
    const Server server(folder, setup);
    struct Case {
        std::string sent, seen;
    };
    for (const auto& [sent, seen] : std::vector<Case>{
             {"/api/", "/"},
             {"/api/x/y?z", "/x/y?z"},
             {"/api//x", "/x"},
             {"/other/../api/x", "/x"},
             {"/api/a%20b", "/a%20b"},
             {"/api/a%3fb", "/a%3Fb"},
             {"/v1/x", "/x"},
             {"/v1", "/"},
         }) {
        CAPTURE(sent);
        CHECK(target_of(server, origin, sent) == seen);
    }
    CHECK(server.get("/api/../secret").status == 404);
}

TEST_CASE("rewrite changes the path that the peer sees", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    SECTION("where it matches") {
        const Server server(folder, passing_to({origin.address()}, "rewrite = ^/old/(.*)$ /new/\\1\n"));
        CHECK(target_of(server, origin, "/old/a?b=c") == "/new/a?b=c");
        CHECK(target_of(server, origin, "/older/a%2Fb") == "/older/a%2Fb");
        CHECK(target_of(server, origin, "/x/../old/a%20b") == "/new/a%20b");
        CHECK(target_of(server, origin, "/old/a%3fb%23c") == "/new/a%3Fb%23c");
    }
    SECTION("to a part of it") {
        const Server server(folder, passing_to({origin.address()}, "rewrite = ^/v1(/.*)?$ \\1\n"));
        CHECK(target_of(server, origin, "/v1/x") == "/x");
        CHECK(target_of(server, origin, "/v1") == "/");
    }
    SECTION("in the middle") {
        const Server server(folder, passing_to({origin.address()}, "rewrite = /old/ /new%2Fer/\n"));
        CHECK(target_of(server, origin, "/a/old/b/old/c%3Fd?") == "/a/new%2Fer/b/old/c%3Fd?");
    }
    SECTION("into a query") {
        const Server server(folder, passing_to({origin.address()}, "rewrite = ^/item/(.*)$ /show?id=\\1\n"));
        CHECK(target_of(server, origin, "/item/7") == "/show?id=7");
        CHECK(target_of(server, origin, "/item/7?x=y") == "/show?id=7&x=y");
        CHECK(target_of(server, origin, "/item/a%20b+c") == "/show?id=a%20b%2Bc");
        CHECK(target_of(server, origin, "/item/7%26admin%3d1") == "/show?id=7%26admin=1");
    }
}

TEST_CASE("redirects to the peer itself lead to us", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([&](const Asked& asked, Origin::Talk& talk) {
        const std::string where = asked.target().substr(asked.target().find('?') + 1);
        talk.send(answer("", "Location: " + where + "\r\n", 302));
    });
    const std::string peer = origin.address();
    const Setup setup{.execution = "workers = 1\n",
                      .routes = "[upstream origin]\npeer = " + peer +
                                "\n[route all]\npath = /\nproxy = origin\n"
                                "[route api]\npath = /api/\nproxy = origin\nstrip_prefix = on\n"
                                "[route v1]\npath = /v1\nproxy = origin\nstrip_prefix = on\n"
                                "[route raw]\npath = /raw\nproxy = origin\nrewrite_redirect = off\n"};
    const Server server(folder, setup);
    const auto location = [&](const std::string& path, const std::string& from) {
        return server.get(path + "?" + from).field("Location");
    };
    CHECK(location("/", "http://" + peer + "/x?y=z") == "/x?y=z");
    CHECK(location("/", "http://" + peer) == "/");
    CHECK(location("/", "http://origin/x") == "/x");
    CHECK(location("/", "http://origin?q=1") == "/?q=1");
    CHECK(location("/", "http://" + peer + "0/x") == "http://" + peer + "0/x");
    CHECK(location("/", "http://other.example/x") == "http://other.example/x");
    CHECK(location("/", "https://other.example/x") == "https://other.example/x");
    CHECK(location("/", "/relative") == "/relative");
    CHECK(location("/", "relative") == "relative");
    CHECK(location("/", "http://origin//evil.example/x") == "/evil.example/x");
    CHECK(location("/api/", "http://" + peer + "/x") == "/api/x");
    CHECK(location("/v1/", "http://" + peer + "/x") == "/v1/x");
    CHECK(location("/raw", "http://" + peer + "/x") == "http://" + peer + "/x");
}

TEST_CASE("a peer on a Unix socket is asked like any other", "[integration][proxy][one-loop]") {
    const TemporaryFolder folder;
    Origin origin(folder.path("origin"), always(answer("by path")));
    const Server server(folder, passing_to({origin.address()}));
    CHECK(server.get("/").body == "by path");
    CHECK(server.get("/").body == "by path");
    CHECK(origin.accepted() == 1);
    CHECK(origin.await().field("X-Forwarded-For") == "127.0.0.1");
}

TEST_CASE("routes without a peer, and upstreams that nobody knows, are refused", "[integration][proxy]") {
    const TemporaryFolder folder;
    const auto complaint = [&](const std::string& routes) {
        return run({reeve(), "-t", "-c", write_config(folder, {.routes = routes}, free_port())}).errors;
    };
    CHECK(contains(complaint("[upstream a]\n[route r]\npath = /\nproxy = a\n"), "has no peer"));
    CHECK(contains(complaint("[route r]\npath = /\nproxy = nobody\n"), "there is no [upstream nobody]"));
    for (const std::string name : {"Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "TE"})
        CHECK(contains(
            complaint("[upstream a]\npeer = 127.0.0.1:1\n[route r]\npath = /\nproxy = a\nset_header = " +
                      name + ": x\n"),
            "is not free to set"));
}
