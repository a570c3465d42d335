// `fastcgi` and scripted programs: what they are asked, what clients get, and what happens when either fails.
#include "tests/integration/check.h"
#include "tests/integration/fastcgi_origin.h"

using namespace integration;
using worker::http::fastcgi::ProtocolStatus;

namespace {

const std::string plain = "Content-Type: text/plain\r\n";

FastcgiOrigin::Script saying(std::string text) {
    return [text](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.answer(text); };
}

std::string upload(const std::string& lines, const std::string& body) {
    return "POST /up HTTP/1.1\r\nHost: test\r\n" + lines + "\r\n" + body;
}

/// Of the next response, which is chunked and whole.
std::string chunked_body(Client& client) {
    CHECK(client.head().status == 200);
    const Chunks chunks = take_chunks(client);
    CHECK(chunks.whole);
    return chunks.payload;
}

}  // namespace

TEST_CASE("a program is asked by FastCGI, and its answer is the client's", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin(saying("Status: 201 Made\r\n" + plain + "X-A: b\r\nServer: it\r\n\r\nhere"));
    const Server server(folder, programs_at({origin.address()}));
    Client client = server.connect();
    client.send(post("/a%20b/c?d=e", "body", "X-Mine: 1\r\nProxy: evil\r\n"));
    const Response answer = client.head();
    CHECK(answer.status == 201);
    CHECK(answer.head.starts_with("HTTP/1.1 201 Created\r\n"));
    CHECK(take_chunks(client).payload == "here");
    CHECK(answer.field("X-A") == "b");
    CHECK_FALSE(answer.has("Status"));
    CHECK(answer.field("Server") != "it");
    CHECK(answer.has("Transfer-Encoding"));
    const FastcgiAsked asked = origin.await();
    CHECK(asked.body == "body");
    CHECK_FALSE(asked.keep);
    CHECK(asked.param("REQUEST_METHOD") == "POST");
    CHECK(asked.param("REQUEST_URI") == "/a%20b/c?d=e");
    CHECK(asked.param("PATH_INFO") == "/a b/c");
    CHECK(asked.param("SCRIPT_NAME").empty());
    CHECK(asked.param("CONTENT_LENGTH") == "4");
    CHECK(asked.param("HTTP_X_MINE") == "1");
    CHECK(asked.param("SERVER_PORT") == std::to_string(server.port()));
    CHECK(asked.param("SERVER_ADDR") == "127.0.0.1");
    CHECK(asked.param("REMOTE_ADDR") == "127.0.0.1");
    CHECK(asked.param("HTTP_X_REQUEST_ID").size() == 32);
    CHECK(asked.params.count("HTTP_PROXY") == 0);
}

TEST_CASE("bodies go with their length, and unless they are buffered as they come where it is known",
          "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        talk.answer(plain + "\n" + asked.param("CONTENT_LENGTH") + " " + std::to_string(asked.body.size()));
    });
    const Server server(
        folder, programs_at({origin.address()}, "body_max = 0\nchunked_max = 64k\nbuffer_request = off\n"));
    Client client = server.connect();
    const std::string large = numbers(3'000'000);
    SECTION("with a length") {
        client.send(post("/", large));
        CHECK(chunked_body(client) == "3000000 3000000");
        CHECK(origin.await().body == large);
    }
    SECTION("in chunks") {
        client.send(upload(chunked, chunk("one") + chunk("two") + "0\r\n\r\n"));
        CHECK(chunked_body(client) == "6 6");
        CHECK(origin.await().body == "onetwo");
        client.send(upload(chunked, "0\r\n\r\n"));
        CHECK(chunked_body(client) == "0 0");
        client.send(upload(chunked, chunk(large.substr(0, 65'536)) + "0\r\n\r\n"));
        CHECK(chunked_body(client) == "65536 65536");
    }
    SECTION("in chunks beyond chunked_max") {
        client.send(upload(chunked, chunk(large.substr(0, 65'537))));
        const Response answer = client.response();
        CHECK(answer.status == 413);
        CHECK(client.ends());
        CHECK(origin.asked().empty());
    }
    SECTION("only when the client was told to go on") {
        client.send(upload(chunked + "Expect: 100-continue\r\n", ""));
        CHECK(client.head().status == 100);
        client.send(chunk("x") + "0\r\n\r\n");
        CHECK(chunked_body(client) == "1 1");
        client.send(upload("Content-Length: 1\r\nExpect: 100-continue\r\n", ""));
        CHECK(client.head().status == 100);
        client.send("x");
        CHECK(chunked_body(client) == "1 1");
    }
}

TEST_CASE("a program is asked when the whole body is here, through a file if it is large",
          "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        const std::string text = asked.param("CONTENT_LENGTH") + " " + std::to_string(asked.body.size());
        talk.answer(plain + "Content-Length: " + std::to_string(text.size()) + "\n\n" + text);
    });
    const Server server(folder, programs_at({origin.address()}, "body_max = 0\nbuffer_memory = 64k\n"));
    Client client = server.connect();
    const std::string large = numbers(3'000'000);
    if (serves_several()) SECTION("with a length") {
            client.send(post("/", large).substr(0, 2'000'000));
            CHECK(server.get("/").status == 200);
            CHECK(origin.asked().size() == 1);
            client.send(post("/", large).substr(2'000'000));
            CHECK(client.response().body == "3000000 3000000");
            CHECK(origin.await(2).body == large);
        }
    SECTION("in chunks") {
        client.send(upload(chunked, chunk(large) + "0\r\n\r\n"));
        CHECK(client.response().body == "3000000 3000000");
        CHECK(origin.await().body == large);
        client.send(upload(chunked, "0\r\n\r\n"));
        CHECK(client.response().body == "0 0");
    }
    SECTION("for each that is asked anew") {
        client.send(post("/", large) + post("/", "x"));
        CHECK(client.response().body == "3000000 3000000");
        CHECK(client.response().body == "1 1");
    }
}

TEST_CASE("no program is asked for a client that leaves while its body is collected",
          "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin(saying(plain + "Content-Length: 1\n\nx"));
    const Server server(folder, programs_at({origin.address()}));
    Client client = server.connect();
    client.send(upload(chunked, chunk("half")));
    client.close();
    CHECK(server.get("/").status == 200);
    CHECK(origin.asked().size() == 1);
    CHECK(origin.asked().front().param("REQUEST_METHOD") == "GET");
}

TEST_CASE("a program's connection goes when its client has left", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.await_end(); });
    const Server server(folder, programs_at({origin.address()}));
    Client client = server.connect();
    client.send(get("/"));
    static_cast<void>(origin.await());
    client.close();
    eventually("the program hears of it", [&] { return origin.open() == 0; });
}

TEST_CASE("connections of programs are kept where the route says so", "[integration][fastcgi][one-loop]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin(saying(plain + "Content-Length: 1\n\nx"));
    const Server server(folder, programs_at({origin.address()}, "fastcgi_keep = on\n"));
    Client client = server.connect();
    for (int i = 0; i < 5; ++i) {
        client.send(get("/"));
        CHECK(client.response().body == "x");
    }
    CHECK(origin.asked().size() == 5);
    CHECK(origin.accepted() == 1);
    CHECK(origin.asked().back().keep);
}

TEST_CASE("answers to HEAD, and those without a body, have none", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        if (asked.param("PATH_INFO") == "/204") talk.answer("Status: 204\n\nsurplus");
        if (asked.param("PATH_INFO") == "/304") talk.answer("Status: 304\nETag: \"x\"\n\n");
        talk.answer(plain + "Content-Length: 4\n\nbody");
    });
    const Server server(folder, programs_at({origin.address()}));
    Client client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    const Response head = client.response(Body::none);
    CHECK(head.status == 200);
    CHECK(head.field("Content-Length") == "4");
    client.send(get("/204"));
    CHECK(client.response().status == 204);
    client.send(get("/304"));
    const Response same = client.response(Body::none);
    CHECK(same.status == 304);
    CHECK(same.field("ETag") == "\"x\"");
    client.send(get("/"));
    CHECK(client.response().body == "body");
}

TEST_CASE("a program that is slow to be taken is not read faster than its client", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    std::atomic<std::size_t> said{0};
    constexpr std::size_t all = 48'000'000;
    const std::string part = numbers(60'000);
    FastcgiOrigin origin([&](const FastcgiAsked&, FastcgiOrigin::Talk& talk) {
        talk.out(plain + "Content-Length: " + std::to_string(all) + "\n\n");
        while (said < all && talk.out(part)) said += part.size();
        talk.end();
    });
    const Server server(folder, programs_at({origin.address()}, "buffer_response = off\n"));
    Client client = server.connect_slow();
    client.send(get("/"));
    CHECK(client.head().status == 200);
    std::size_t before = 1;
    eventually("nobody takes any more", [&] {
        const bool stands = said > 0 && said == before;
        before = said;
        return stands;
    });
    CHECK(said < all / 2);
    const std::string body = client.take(all);
    CHECK(body.size() == all);
    CHECK(body.substr(all - part.size()) == part);
    const auto status = server.status();
    if (!sanitized()) CHECK(resident_bytes_max(status.workers.at(0).pid) < 64u << 20);
}

TEST_CASE("programs that fail are 502, 503 or 504, each with its reason", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    struct Case {
        std::string path;
        int status;
        std::string reason;
        FastcgiOrigin::Script script;
    };
    const Case cases[]{
        {"/dies", 502, "the peer ended the connection",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.close(); }},
        {"/resets", 502, "the peer ended the connection",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.reset(); }},
        {"/dies-in-its-head", 502, "the peer ended the connection",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) {
             talk.out("Content-Ty");
             talk.close();
         }},
        {"/dies-in-a-record", 502, "the peer ended the connection",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) {
             talk.send(std::string("\1\6\0\1\0\100\0\0Content-Type: a/b\n", 26));
             talk.close();
         }},
        {"/other-protocol", 502, "it does not speak FastCGI",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.send(answer("x")); }},
        {"/no-response", 502, "it ended without a response",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.end(); }},
        {"/large-head", 502, "its header is too large",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) {
             talk.answer("X: " + std::string(70'000, 'x') + "\n\n");
         }},
        {"/injects", 502, "its header is malformed",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.answer("X: a\rSet-Cookie: b\n\n"); }},
        {"/overloaded", 503, "the peer takes no further request",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.end(ProtocolStatus::overloaded); }},
        {"/silent", 504, "no response in time",
         [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.await_end(); }},
    };
    FastcgiOrigin origin([&](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        for (const Case& one : cases)
            if (asked.param("PATH_INFO") == one.path) one.script(asked, talk);
    });
    Setup setup = programs_at({origin.address()}, "read_timeout = 300ms\n", "eject_failures = 0\n");
    setup.server = "access_log = @folder@/access.log $request_uri|$status|$upstream_status|\n";
    const Server server(folder, setup);
    for (const Case& one : cases) {
        CAPTURE(one.path);
        CHECK(server.get(one.path).status == one.status);
        eventually("the access log has it", [&] {
            return contains(contents(folder.path("access.log")),
                            one.path + "|" + std::to_string(one.status) + "|");
        });
    }
    const std::string log = server.log();
    for (const Case& one : cases) {
        CAPTURE(one.path);
        CHECK(contains(log, "why=\"" + one.reason + "\""));
    }
    CHECK(server.get("/dies").status == 502);
}

TEST_CASE("a program that dies within its answer leaves the client one that is cut",
          "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        talk.out(plain + (asked.param("PATH_INFO") == "/length" ? "Content-Length: 10\n\nhalf" : "\nhalf"));
        if (asked.param("PATH_INFO") == "/ends") talk.end();
        talk.close();
    });
    const Server server(folder, programs_at({origin.address()}));
    Client client = server.connect();
    client.send(get("/length"));
    CHECK(client.head().status == 200);
    CHECK(client.rest() == "half");
    Client other = server.connect();
    other.send(get("/"));
    CHECK(other.head().status == 200);
    const Chunks cut = take_chunks(other);
    CHECK(cut.payload == "half");
    CHECK_FALSE(cut.whole);
    Client third = server.connect();
    third.send(get("/ends"));
    CHECK(third.head().status == 200);
    CHECK(take_chunks(third).whole);
}

TEST_CASE("where a program refuses, or nobody listens, another one is asked", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin full(
        [](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.end(ProtocolStatus::overloaded); });
    FastcgiOrigin good([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        talk.answer(plain + "Content-Length: 4\n\n" + asked.body);
    });
    const Server server(folder, programs_at({nobody(), full.address(), good.address() + " backup"}, "",
                                            "eject_failures = 0\n"));
    for (int i = 0; i < 4; ++i) CHECK(server.ask(post("/", "body")).body == "body");
    CHECK(good.asked().size() == 4);
}

TEST_CASE("megabytes that a program says aside hold up nothing, and fill no log", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked&, FastcgiOrigin::Talk& talk) {
        talk.err("first line\n");
        for (int i = 0; i < 100; ++i) talk.err(std::string(50'000, 'e') + "\n");
        talk.out(plain + "Content-Length: 3\n\n");
        talk.err("in between");
        talk.answer("yes");
    });
    const Server server(folder, programs_at({origin.address()}));
    CHECK(server.get("/a", "X-Request-Id: mine\r\n").body == "yes");
    const std::string log = server.log();
    CHECK(contains(log, "program says route=all peer=" + origin.address() +
                            " id=\"mine\" request=\"GET /a\" text=\"first line\""));
    CHECK(log.size() < 200'000);
    CHECK(server.get("/b").body == "yes");
}

TEST_CASE("what a program's own failure costs: fallback, error page, hidden fields",
          "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        if (asked.param("PATH_INFO") == "/fails") return talk.close();
        if (asked.param("PATH_INFO") == "/page") {
            talk.answer(plain + "Content-Length: 3\n\n" + asked.param("REDIRECT_STATUS"));
            return;
        }
        talk.answer(plain + "X-Powered-By: it\nX-Accel-Buffering: no\nContent-Length: 1\n\nx");
    });
    Setup setup = programs_at({origin.address()}, "hide_header = X-Powered-By\nfallback = /sorry\n");
    setup.server = "error_page = 404 /page\n";
    setup.routes +=
        "[route sorry]\npath = = /sorry\nrespond = 200 \"sorry\"\n"
        "[route gone]\npath = = /gone\nrespond = 404\n";
    const Server server(folder, setup);
    CHECK(server.get("/fails").body == "sorry");
    const Response good = server.get("/");
    CHECK(good.body == "x");
    CHECK_FALSE(good.has("X-Powered-By"));
    CHECK_FALSE(good.has("X-Accel-Buffering"));
    const Response gone = server.get("/gone");
    CHECK(gone.status == 404);
    CHECK(gone.body == "404");
}

TEST_CASE("an error page that says it is not modified has no body, and the connection stays in step",
          "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        talk.answer((asked.params.count("HTTP_IF_NONE_MATCH") != 0 ? "X-Conditional: yes\r\n" : "") +
                    std::string("Status: 304\r\nContent-Length: 100\n\n"));
    });
    Setup setup = programs_at({origin.address()});
    setup.routes +=
        "[route gone]\npath = = /gone\nrespond = 404\n[route here]\npath = = /here\nrespond = 200 \"here\"\n";
    setup.routes += "[route blocked]\npath = /blocked/\nfiles = @folder@/none\n";
    setup.server = "error_page = 404 /page\n";
    const Server server(folder, setup);
    Client client = server.connect();
    client.send(get("/blocked/x", "If-None-Match: \"a\"\r\n") + get("/here"));
    const Response page = client.response();
    CHECK(page.status == 404);
    CHECK(page.field("Content-Length") == "0");
    CHECK_FALSE(page.has("X-Conditional"));
    const Response next = client.response();
    CHECK(next.body == "here");
}

TEST_CASE("tasks of programs show in metrics as those of other peers", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked& asked, FastcgiOrigin::Talk& talk) {
        if (asked.param("PATH_INFO") == "/bad") return talk.end(ProtocolStatus::overloaded), void();
        talk.answer(plain + "Content-Length: 1\n\nx");
    });
    Setup setup = programs_at({origin.address()}, "", "eject_failures = 0\n");
    setup.routes += "[route metrics]\npath = = /metrics\nmetrics = on\n";
    const Server server(folder, setup);
    CHECK(server.get("/").body == "x");
    CHECK(server.get("/bad").status == 503);
    const std::string metrics = server.get("/metrics").body;
    CHECK(contains(metrics, "peer=\"" + origin.address() + "\""));
    CHECK(contains(metrics, "reason=\"status\"} 1\n"));
}

TEST_CASE("an upstream of programs and its breaker", "[integration][fastcgi]") {
    const TemporaryFolder folder;
    FastcgiOrigin origin([](const FastcgiAsked&, FastcgiOrigin::Talk& talk) { talk.close(); });
    const Server server(folder,
                        programs_at({origin.address()}, "", "breaker_failures = 2\neject_failures = 0\n"));
    CHECK(server.get("/").status == 502);
    CHECK(server.get("/").status == 502);
    const Response open = server.get("/");
    CHECK(open.status == 503);
    CHECK(open.has("Retry-After"));
    CHECK(origin.asked().size() == 2);
}
