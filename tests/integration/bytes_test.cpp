// HTTP/1.x on the wire: what is one request, what is none, and what becomes of the connection.
#include <algorithm>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

const std::string routes =
    "[route echo]\npath = /\nrespond = 200 \"$request_method $request_uri on $host\"\n"
    "[route files]\npath = /files/\nfiles = @folder@/www\nstrip_prefix = on\n"
    "[route posts]\npath = /posts\nmethods = POST PUT\nrespond = 200 \"posted\"\n"
    "[route narrow]\npath = /narrow\nbody_max = 4\nrespond = 200 \"fits\"\n";

const Setup setup{.execution = "workers = 1\n",
                  .server = "header_max = 4k\nuri_max = 512\nbody_max = 1k\n",
                  .routes = routes};

const std::string second_request = get("/second");

/// The one answer to bytes that the server must not go on after.
void check_refused(const Server& server, const std::string& bytes, int status) {
    CAPTURE(bytes, status);
    Client client = server.connect();
    client.send(bytes + second_request);
    const Response response = client.response();
    CHECK(response.status == status);
    CHECK(response.field("Connection") == "close");
    CHECK(client.ends());  // and answers no second request
}

std::string with(const std::string& lines) { return get("/", lines); }

const std::string chunked = "Transfer-Encoding: chunked\r\n";

std::string post_chunks(const std::string& chunks) {
    return "POST /posts HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n" + chunks;
}

/// Requests of many kinds, each answered by itself.
const std::vector<std::string> whole_requests{
    get("/a?b=c"),
    get("/files/page.txt", "Range: bytes=1-2\r\n"),
    get("/%7Euser/../x//y"),
    "HEAD /files/page.txt HTTP/1.1\r\nHost: test\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET http://other.example/abs HTTP/1.1\r\nHost: test\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
    post("/posts", "hello"),
    post_chunks("5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"),
    post("/narrow", "too large"),
    post("/missing-not", "GET / HTTP/1.1\r\n\r\n"),
    get("/files/none"),
    "DELETE /posts HTTP/1.1\r\nHost: test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: test\r\nX: a\r\n folded\r\n\r\n",
    "BREW /pot HTTP/1.1\r\nHost: test\r\n\r\n",
    "\r\n" + get("/after-an-empty-line"),
};

std::string answer_to(Client& client, const std::string& request) {
    const bool is_head = request.starts_with("HEAD");
    return client.response(is_head ? Body::none : Body::as_announced).text();
}

void write_files(const TemporaryFolder& folder) { folder.write("www/page.txt", "0123456789"); }

}  // namespace

TEST_CASE("framing that two readers could take for two things is answered once, with 400 and the end",
          "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    for (const std::string lines : {
             "Content-Length: 1\r\nContent-Length: 2\r\n",
             "Content-Length: 1\r\nContent-Length: 1\r\n",
             "Content-Length: 0\r\nContent-Length: 0\r\n",
             "Content-Length: 1, 1\r\n",
             "Content-Length: +1\r\n",
             "Content-Length: -1\r\n",
             "Content-Length: 0x1\r\n",
             "Content-Length: 1 2\r\n",
             "Content-Length: 1a\r\n",
             "Content-Length: \r\n",
             "Content-Length: 99999999999999999999999\r\n",
             "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
             "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
             "Transfer-Encoding: chunked, identity\r\n",
             "Transfer-Encoding: \x0b"
             "chunked\r\n",
             "Content-Length : 1\r\n",
             "Transfer-Encoding : chunked\r\n",
             " Content-Length: 1\r\n",
             "X: a\r\n b\r\n",
             "X: a\r\n\tb\r\n",
             "X: a\rb\r\n",
             "X: a\nY: b\r\n",
             "X: a\n",
             "X\r\n",
             ": x\r\n",
             "X y: z\r\n",
             "Host: b\r\n",
         })
        check_refused(server, with(lines), 400);
    check_refused(server, with(std::string("X: a\0b\r\n", 8)), 400);
    check_refused(server, with(std::string("X\0: a\r\n", 7)), 400);
    check_refused(server, "GET / HTTP/1.1\nHost: a\n\n", 400);
    check_refused(server, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    check_refused(server, with("Transfer-Encoding: gzip, chunked\r\n"), 501);
    CHECK(server.get("/").status == 200);
}

TEST_CASE("bad chunks are answered once, with 400 and the end", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    for (const std::string chunks :
         {"x\r\n", "5\r\nhelloX\r\n", "-1\r\n", "5 \r\nhello\r\n0\r\n\r\n", "fffffffffffffffff\r\n",
          "5\nhello\r\n0\r\n\r\n", "0\r\nbad trailer\r\n\r\n", "\r\n5\r\nhello\r\n", "0x5\r\nhello\r\n"})
        check_refused(server, post_chunks(chunks), 400);
}

TEST_CASE("what is no request line is answered once, with its own status", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    check_refused(server, "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    check_refused(server, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    check_refused(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    check_refused(server, "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505);
    check_refused(server, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_refused(server, "GET / HTTX/1.1\r\nHost: a\r\n\r\n", 400);
    check_refused(server, "GET /\r\n", 400);
    check_refused(server, std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400);
    check_refused(server, "GET / HTTP/1.1\r\n\r\n", 400);
    for (const std::string host : {"a b", "a/b", "me@a", "a\\b", "[::1", "a:99999"})
        check_refused(server, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 400);
}

TEST_CASE("a target that cannot be normalised is 400", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    for (const std::string target :
         {"/..", "/a/../..", "/%2e%2e/x", "/%", "/%4", "/%zz", "/a%00b", "/a%0ab", "/a#b", "/a\\b", "nothing",
          "ftp://test/", "/a/%2e%2e/%2E./b", "/x/..%2f..%2fetc"}) {
        CAPTURE(target);
        CHECK(server.get(target).status == 400);
    }
    CHECK(server.ask("CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n").status == 501);
}

TEST_CASE("a request cut at any byte gets the answer of the whole", "[integration][bytes]") {
    const TemporaryFolder folder;
    write_files(folder);
    const Server server(folder, {.execution = setup.execution,
                                 .server = setup.server + "keepalive_requests = 1000000\n",
                                 .routes = routes});
    const std::string before = get("/before");
    for (const std::string& request : whole_requests) {
        CAPTURE(request);
        Client whole = server.connect();
        whole.send(before + request);
        CHECK(whole.response().status == 200);
        const std::string expected = answer_to(whole, request);
        std::size_t cut = 1;
        for (; cut < request.size(); ++cut) {
            // With the answer to the request before it, the server has seen the first piece, and only that.
            Client client = server.connect();
            client.send(before + request.substr(0, cut));
            if (client.response().status != 200) break;
            client.send(std::string_view(request).substr(cut));
            if (answer_to(client, request) != expected) break;
        }
        CHECK(cut == request.size());
    }
}

TEST_CASE("requests that come byte by byte are answered like whole ones", "[integration][bytes]") {
    const TemporaryFolder folder;
    write_files(folder);
    const Server server(folder, setup);
    for (const std::string& request : whole_requests) {
        CAPTURE(request);
        Client whole = server.connect(), trickling = server.connect();
        whole.send(request);
        for (const char byte : request) trickling.send({&byte, 1});
        CHECK(answer_to(trickling, request) == answer_to(whole, request));
    }
}

TEST_CASE("a hundred pipelined requests are answered in their order", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    std::string all;
    for (int i = 0; i < 100; ++i) {
        const std::string target = "/" + std::to_string(i);
        switch (i % 4) {
            case 0: all += get(target); break;
            case 1: all += post(target, "GET /stolen HTTP/1.1\r\nHost: test\r\n\r\n"); break;
            case 2:
                all += "PUT " + target + " HTTP/1.1\r\nHost: test\r\n" + chunked +
                       "\r\n4\r\nGET \r\n7\r\n/stolen\r\n0\r\n\r\n";
                break;
            case 3: all += get(target, "X-Long: " + std::string(1000, 'x') + "\r\n"); break;
        }
    }
    const std::vector<std::string> methods{"GET", "POST", "PUT", "GET"};
    Client client = server.connect();
    CHECK(client.send(all));
    client.half_close();
    int in_order = 0;
    for (std::size_t i = 0; i < 100; ++i)
        in_order += client.response().body == methods[i % 4] + " /" + std::to_string(i) + " on test" ? 1 : 0;
    CHECK(in_order == 100);
    CHECK(client.ends());
}

TEST_CASE("a connection persists as the version and the client say", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    struct Case {
        std::string request;
        bool persists;
        std::string said;
    };
    for (const auto& [request, persists, said] : std::vector<Case>{
             {get("/"), true, ""},
             {get("/", "Connection: close\r\n"), false, "close"},
             {get("/", "Connection: x, Close\r\n"), false, "close"},
             {get("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n"), true, ""},
             {"GET / HTTP/1.0\r\n\r\n", false, "close"},
             {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, "keep-alive"},
             {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, "keep-alive"},
         }) {
        CAPTURE(request);
        Client client = server.connect();
        client.send(request);
        const Response first = client.response();
        CHECK(first.status == 200);
        CHECK(first.field("Connection") == said);
        if (persists) {
            client.send(get("/again"));
            CHECK(client.response().body == "GET /again on test");
        } else {
            CHECK(client.ends());
        }
    }
}

TEST_CASE("HEAD is answered like GET, without the body", "[integration][bytes]") {
    const TemporaryFolder folder;
    write_files(folder);
    const Server server(folder, setup);
    for (const std::string target : {"/files/page.txt", "/files/none", "/other"}) {
        CAPTURE(target);
        Client client = server.connect();
        client.send("HEAD " + target + " HTTP/1.1\r\nHost: test\r\n\r\n" + get(target));
        const Response head = client.response(Body::none);
        const Response whole = client.response();
        CHECK(head.status == whole.status);
        if (target != "/other")
            CHECK(head.text() == whole.text().substr(0, whole.text().size() - whole.body.size()));
        CHECK_FALSE(whole.body.empty());
    }
}

TEST_CASE("OPTIONS and 405 say what is allowed", "[integration][bytes]") {
    const TemporaryFolder folder;
    write_files(folder);
    const Server server(folder, setup);
    Client client = server.connect();
    client.send(
        "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\nOPTIONS /posts HTTP/1.1\r\nHost: test\r\n\r\n"
        "OPTIONS /files/page.txt HTTP/1.1\r\nHost: test\r\n\r\n" +
        get("/posts") + post("/files/page.txt", "x") + "TRACE / HTTP/1.1\r\nHost: test\r\n\r\n");
    const Response any = client.response();
    CHECK(any.status == 204);
    CHECK(any.field("Allow") == "GET, HEAD, OPTIONS");
    const Response posts = client.response();
    CHECK(posts.status == 204);
    CHECK(posts.field("Allow") == "POST, PUT, OPTIONS");
    const Response file = client.response();
    CHECK(file.status == 204);
    CHECK(file.field("Allow") == "GET, HEAD, OPTIONS");
    const Response wrong = client.response();
    CHECK(wrong.status == 405);
    CHECK(wrong.field("Allow") == "POST, PUT, OPTIONS");
    const Response written = client.response();
    CHECK(written.status == 405);
    CHECK(written.field("Allow") == "GET, HEAD, OPTIONS");
    CHECK(client.response().status == 405);
    CHECK(server.get("/files/none").status == 404);
}

TEST_CASE("the host of an absolute target counts, not the Host line", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    CHECK(server.ask("GET http://there.example:81/x?y HTTP/1.1\r\nHost: test\r\n\r\n").body ==
          "GET http://there.example:81/x?y on there.example");
    CHECK(server.ask("GET HTTP://there.example HTTP/1.1\r\nHost: test\r\n\r\n").status == 200);
    CHECK(server.ask("GET http://me@there.example/ HTTP/1.1\r\nHost: test\r\n\r\n").status == 400);
    CHECK(server.ask("GET http:///x HTTP/1.1\r\nHost: test\r\n\r\n").status == 400);
}

TEST_CASE("what is larger than its limit has the limit's status", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    check_refused(server, get("/" + std::string(512, 'a')), 414);
    check_refused(server, get("/" + std::string(100'000, 'a')), 414);
    check_refused(server, with("X: " + std::string(4096, 'a') + "\r\n"), 431);
    check_refused(server, with("X: " + std::string(100'000, 'a') + "\r\n"), 431);
    std::string many;
    for (int i = 0; i < 300; ++i) many += "A:b\r\n";
    check_refused(server, with(many), 431);
    check_refused(server, post("/", std::string(1025, 'x')), 413);
    check_refused(server, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999999\r\n\r\n", 413);
    check_refused(server,
                  "POST / HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n401\r\n" + std::string(1025, 'x') +
                      "\r\n0\r\n\r\n",
                  413);
    check_refused(server, post("/narrow", "12345"), 413);
    check_refused(
        server,
        "POST /narrow HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n2\r\n12\r\n2\r\n34\r\n1\r\n5\r\n0\r\n\r\n",
        413);
    check_refused(server, with("Expect: the-unexpected\r\n"), 417);

    CHECK(server.get("/" + std::string(511, 'a')).status == 200);
    CHECK(server.get("/", "X: " + std::string(3000, 'a') + "\r\n").status == 200);
    CHECK(server.ask(post("/", std::string(1024, 'x'))).status == 200);
    CHECK(server.ask(post("/narrow", "1234")).status == 200);
    CHECK(
        server
            .ask("POST /narrow HTTP/1.1\r\nHost: test\r\n" + chunked + "\r\n2\r\n12\r\n2\r\n34\r\n0\r\n\r\n")
            .status == 200);
}

TEST_CASE("a client that asks whether to go on is told", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    const auto asking = [](const std::string& target, int size, const std::string& version = "1.1") {
        return "POST " + target + " HTTP/" + version +
               "\r\nHost: test\r\nContent-Length: " + std::to_string(size) +
               "\r\nExpect: 100-continue\r\n\r\n";
    };
    Client client = server.connect();
    client.send(asking("/posts", 5));
    CHECK(client.response().status == 100);
    client.send("hello");
    CHECK(client.response().body == "posted");
    client.send(asking("/posts", 5) + "hello");  // it did not wait
    Response next = client.response();
    if (next.status == 100) next = client.response();
    CHECK(next.body == "posted");
    client.send(asking("/narrow", 5));  // no: the body is not worth sending
    CHECK(client.response().status == 413);
    CHECK(client.ends());

    Client old = server.connect();
    old.send(asking("/posts", 5, "1.0") + "hello");
    CHECK(old.response().status == 200);
}

TEST_CASE("half a connection is enough for the answer", "[integration][bytes]") {
    const TemporaryFolder folder;
    write_files(folder);
    const Server server(folder, setup);
    Client client = server.connect();
    client.send(get("/first") + get("/files/page.txt"));
    client.half_close();
    CHECK(client.response().body == "GET /first on test");
    CHECK(client.response().body == "0123456789");
    CHECK(client.ends());

    Client cut = server.connect();
    cut.send("GET / HTTP/1.1\r\nHost: te");
    cut.half_close();
    CHECK(cut.ends());
    Client unfinished = server.connect();
    unfinished.send("POST /posts HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhel");
    unfinished.half_close();
    CHECK(unfinished.ends());
    eventually("none is left", [&] { return server.status().workers[0].connections == 0; });
}

TEST_CASE("a body that nobody wants is read over", "[integration][bytes]") {
    const TemporaryFolder folder;
    write_files(folder);
    const Server server(folder, setup);
    const std::string inner = get("/stolen");
    Client client = server.connect();
    client.send(post("/files/page.txt", inner) + "POST /files/none HTTP/1.1\r\nHost: test\r\n" + chunked +
                "\r\n" + "3\r\nGET\r\n0\r\n\r\n" +
                "DELETE /posts HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(inner.size()) +
                "\r\n\r\n" + inner + get("/next"));
    CHECK(client.response().status == 405);
    CHECK(client.response().status == 405);
    CHECK(client.response().status == 405);
    CHECK(client.response().body == "GET /next on test");
}

TEST_CASE("what follows the last request is not looked at", "[integration][bytes]") {
    const TemporaryFolder folder;
    const Server server(folder, setup);
    Client client = server.connect();
    client.send(get("/last", "Connection: close\r\n") + get("/stolen") + "\x01\x02 garbage");
    CHECK(client.response().body == "GET /last on test");
    CHECK(client.ends());
}
