// The proxy on the wire: where messages begin and end, on both sides.
#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

TEST_CASE("a request's body reaches the peer in framing of our own", "[integration][proxy][one-loop]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("")));
    const Server server(folder, passing_to({origin.address()}));
    struct Case {
        std::string request, length, coding, payload;
    };
    for (const auto& [request, length, coding, payload] : std::vector<Case>{
             {get("/"), "", "", ""},
             {"DELETE / HTTP/1.1\r\nHost: test\r\n\r\n", "", "", ""},
             {"POST / HTTP/1.1\r\nHost: test\r\n\r\n", "0", "", ""},
             {"PUT / HTTP/1.1\r\nHost: test\r\n\r\n", "0", "", ""},
             {post("/", ""), "0", "", ""},
             {post("/", "hello"), "5", "", "hello"},
             {"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi", "2", "", "hi"},
             {"POST / HTTP/1.1\r\nHost: test\r\ncontent-length:005\r\n\r\nhello", "5", "", "hello"},
             {"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "5", "", "hello"},
             {post_chunks("5\r\nhello\r\n0\r\n\r\n"), "", "chunked", "hello"},
             {post_chunks("0\r\n\r\n"), "", "chunked", ""},
             {post_chunks("0005;a=b\r\nhello\r\n1\r\n!\r\n0;x\r\nX-Trailer: 1\r\n\r\n"), "", "chunked",
              "hello!"},
             {post_chunks("5\r\nhello\r\n0\r\n\r\n", "transfer-ENCODING:   Chunked\r\n"), "", "chunked",
              "hello"},
         }) {
        CAPTURE(request);
        const std::size_t before = origin.asked().size();
        CHECK(server.ask(request).status == 200);
        const Asked asked = origin.await(before + 1);
        CHECK(asked.whole);
        CHECK(asked.payload == payload);
        CHECK(asked.field("Content-Length") == length);
        CHECK(asked.count("Content-Length") == (length.empty() ? 0 : 1));
        CHECK(asked.field("Transfer-Encoding") == coding);
        CHECK(asked.count("Transfer-Encoding") == (coding.empty() ? 0 : 1));
        CHECK_FALSE(contains(asked.body, ";"));
        CHECK_FALSE(contains(asked.body, "X-Trailer"));
    }
    CHECK(origin.accepted() == 1);
}

TEST_CASE("a response's body reaches the client in framing that it knows", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(by_target({
        {"/length", answer("hello")},
        {"/chunks", ok + chunked + "\r\n2;ext\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
        {"/until-end", ok + "\r\nhelloCLOSE"},
        {"/old", "HTTP/1.0 200 OK\r\n\r\nhelloCLOSE"},
        {"/old-length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhelloCLOSE"},
        {"/no-reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"},
    }));
    const Server server(folder, passing_to({origin.address()}));
    for (const std::string target : {"/length", "/old-length", "/no-reason"}) {
        CAPTURE(target);
        const Response response = server.get(target);
        CHECK(response.body == "hello");
        CHECK(response.field("Content-Length") == "5");
        CHECK_FALSE(response.has("Transfer-Encoding"));
    }
    for (const std::string target : {"/chunks", "/until-end", "/old"}) {
        CAPTURE(target);
        Client client = server.connect();
        client.send(get(target) + get("/length"));
        const Response response = client.head();
        CHECK(response.status == 200);
        CHECK(response.field("Transfer-Encoding") == "chunked");
        CHECK_FALSE(response.has("Content-Length"));
        CHECK_FALSE(response.has("Connection"));
        const Chunks chunks = take_chunks(client);
        CHECK(chunks.whole);
        CHECK(chunks.payload == "hello");
        CHECK(client.response().body == "hello");

        Client old = server.connect();
        old.send("GET " + target + " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        const Response plain = old.head();
        CHECK(plain.field("Connection") == "close");
        CHECK_FALSE(plain.has("Transfer-Encoding"));
        CHECK_FALSE(plain.has("Content-Length"));
        CHECK(old.rest() == "hello");
    }
    Client old = server.connect();
    old.send("GET /length HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /length HTTP/1.0\r\n\r\n");
    const Response kept = old.response();
    CHECK(kept.body == "hello");
    CHECK(kept.field("Connection") == "keep-alive");
    CHECK(old.response().body == "hello");
    CHECK(old.ends());
}

TEST_CASE("answers without a body keep both connections", "[integration][proxy][one-loop]") {
    const TemporaryFolder folder;
    Origin origin(by_target({
        {"/length", ok + "Content-Length: 5\r\n\r\n"},
        {"/chunks", ok + chunked + "\r\n"},
        {"/neither", ok + "X: y\r\n\r\n"},
        {"/empty", ok + "Content-Length: 0\r\n\r\n"},
        {"/204", "HTTP/1.1 204 No Content\r\n\r\n"},
        {"/304", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n"},
        {"/304-chunks", "HTTP/1.1 304 Not Modified\r\n" + chunked + "\r\n"},
    }));
    const Server server(folder, passing_to({origin.address()}));
    Client client = server.connect();
    const auto head = [&](const std::string& target) {
        client.send("HEAD " + target + " HTTP/1.1\r\nHost: test\r\n\r\n");
        return client.response(Body::none);
    };
    CHECK(head("/length").field("Content-Length") == "5");
    CHECK_FALSE(head("/chunks").has("Content-Length"));
    CHECK_FALSE(head("/neither").has("Content-Length"));
    CHECK(head("/empty").field("Content-Length") == "0");
    client.send(get("/204") + get("/304") + get("/304-chunks") + get("/empty"));
    CHECK(client.response().status == 204);
    const Response unchanged = client.response();
    CHECK(unchanged.status == 304);
    CHECK(unchanged.field("ETag") == "\"a\"");
    CHECK(client.response().status == 304);
    const Response empty = client.response();
    CHECK(empty.status == 200);
    CHECK(empty.field("Content-Length") == "0");
    CHECK(origin.accepted() == 1);
    CHECK(origin.asked().front().line() == "HEAD /length HTTP/1.1");
}

TEST_CASE("trailers reach clients that take them", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(ok + chunked +
                         "\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\n"
                         "Connection: close\r\nX-Other:  2 \r\n\r\n"));
    const Server server(folder, passing_to({origin.address()}));
    Client client = server.connect();
    client.send(get("/", "TE: trailers\r\nConnection: TE\r\n") + get("/") + get("/", "TE: deflate\r\n"));
    CHECK(client.head().status == 200);
    const Chunks with = take_chunks(client);
    CHECK(with.whole);
    CHECK(with.payload == "hello");
    CHECK(with.trailers == "X-Sum: 1\r\nX-Other: 2\r\n");
    for (int i = 0; i < 2; ++i) {
        CHECK(client.head().status == 200);
        const Chunks without = take_chunks(client);
        CHECK(without.whole);
        CHECK(without.trailers.empty());
    }
}

TEST_CASE("interim answers go to clients that know them", "[integration][proxy][one-loop]") {
    const TemporaryFolder folder;
    Origin origin(
        always("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n"
               "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" +
               answer("hello")));
    const Server server(folder, passing_to({origin.address()}));
    Client client = server.connect();
    client.send(get("/"));
    const Response first = client.response();
    CHECK(first.status == 103);
    CHECK(first.field("Link") == "</a>");
    CHECK_FALSE(first.has("Connection"));
    CHECK(client.response().field("Link") == "</b>");
    CHECK(client.response().body == "hello");
    client.send("GET / HTTP/1.0\r\n\r\n");
    const Response old = client.response();
    CHECK(old.status == 200);
    CHECK(old.body == "hello");
    CHECK(origin.accepted() == 1);
}

TEST_CASE("a client that waits for 100 gets it, and the peer the body alone", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("thanks")));
    const Server server(folder, passing_to({origin.address()}));
    for (const bool by_chunks : {false, true}) {
        CAPTURE(by_chunks);
        Client client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n" +
                    (by_chunks ? chunked : "Content-Length: 5\r\n") + "\r\n");
        CHECK(client.response().status == 100);
        client.send(by_chunks ? "5\r\nhello\r\n0\r\n\r\n" : "hello");
        CHECK(client.response().body == "thanks");
        const Asked asked = origin.asked().back();
        CHECK(asked.payload == "hello");
        CHECK_FALSE(asked.has("Expect"));
    }
    Client hasty = server.connect();  // does not wait
    hasty.send(post("/", "hello", "Expect: 100-continue\r\n"));
    Response response = hasty.response();
    if (response.status == 100) response = hasty.response();
    CHECK(response.body == "thanks");
}

TEST_CASE("without a peer nobody is told to send a body", "[integration][proxy]") {
    const TemporaryFolder folder;
    const Server server(folder, passing_to({"127.0.0.1:" + std::to_string(free_port())}));
    Client client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    CHECK(client.response().status == 502);
    CHECK(client.ends());
}

TEST_CASE("pipelined requests are answered in their order", "[integration][proxy]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        talk.send(answer(asked.line().substr(0, asked.line().rfind(' ')) + " " + asked.payload));
    });
    const Server server(folder, passing_to({origin.address()}));
    std::string all;
    for (int i = 0; i < 60; ++i) {
        const std::string target = "/" + std::to_string(i);
        switch (i % 3) {
            case 0: all += get(target); break;
            case 1: all += post(target, "GET /stolen HTTP/1.1\r\nHost: test\r\n\r\n"); break;
            case 2:
                all += "PUT " + target + " HTTP/1.1\r\nHost: test\r\n" + chunked +
                       "\r\n4\r\nGET \r\n7\r\n/stolen\r\n0\r\n\r\n";
                break;
        }
    }
    const std::vector<std::string> expected{"GET /", "POST /", "PUT /"};
    Client client = server.connect();
    client.send(all);
    int in_order = 0;
    for (std::size_t i = 0; i < 60; ++i)
        in_order += client.response().body.starts_with(expected[i % 3] + std::to_string(i) + " ") ? 1 : 0;
    CHECK(in_order == 60);
    CHECK(origin.asked().size() == 60);
}

TEST_CASE("answers that come in any pieces are the answers of the whole", "[integration][proxy]") {
    const TemporaryFolder folder;
    const std::vector<std::string> answers{
        answer("hello", "X: y\r\n"),
        ok + chunked + "\r\n2;e=1\r\nhe\r\n003\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n",
        "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n" + answer("hello"),
        "HTTP/1.1 204 None\r\nX: y\r\n\r\n",
    };
    Origin origin([&](const Asked& asked, Origin::Talk& talk) {
        const std::string& bytes = answers[std::stoul(asked.target().substr(1))];
        const std::size_t cut = std::stoul(asked.field("Cut"));
        talk.send(bytes.substr(0, cut));
        if (cut < bytes.size() && !talk.wait()) return;
        talk.send(bytes.substr(cut));
    });
    const Server server(folder, passing_to({origin.address()}));
    for (std::size_t which = 0; which < answers.size(); ++which) {
        CAPTURE(which);
        const auto parts = [&](std::size_t cut) {
            Client client = server.connect();
            client.send(get("/" + std::to_string(which),
                            "Cut: " + std::to_string(cut) + "\r\nTE: trailers\r\nConnection: TE\r\n"));
            if (cut < answers[which].size()) origin.go();
            std::string text;
            Response response = client.head();
            for (; response.status == 103; response = client.head()) text += response.text();
            text += response.text();
            if (!response.has("Transfer-Encoding")) return text + client.take(response.status == 204 ? 0 : 5);
            const Chunks chunks = take_chunks(client);
            return text + chunks.payload + chunks.trailers + (chunks.whole ? "whole" : "cut");
        };
        const std::string expected = parts(answers[which].size());
        CHECK(contains(expected, "Server: reeve"));
        std::size_t cut = 1;
        while (cut < answers[which].size() && parts(cut) == expected) ++cut;
        CHECK(cut == answers[which].size());
    }
}
