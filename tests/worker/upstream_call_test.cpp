// tests/worker/upstream_call_test.cpp: what is asked of peers, and what callers hear of it. Peers are the
// test's.
#include "worker/upstream/call.h"

#include <algorithm>

#include "tests/conf/temporary_folder.h"
#include "tests/worker/turn.h"
#include "tests/worker/upstream_world.h"

namespace {

using ipc::CallFailure;
using std::chrono_literals::operator""ms;
using worker::upstream::hash_of;

const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
constexpr std::string_view connected_and_answered = "connected 200 length 3 end";

/// The peer has heard this on its connection number `at`.
bool hears(World& world, Backend& backend, std::size_t at, std::string_view text = "\r\n\r\n") {
    return world.until(
        [&] { return backend.talks.size() > at && backend.talks[at].heard.find(text) != std::string::npos; });
}

/// A whole call that is answered on connection number `at`.
void exchange(World& world, Backend& backend, std::size_t at) {
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, at));
    backend.talks[at].heard.clear();
    backend.talks[at].say(answer);
    CHECK(asked.end().ends_with("200 length 3 end"));
}

bool ends(World& world, Conversation& talk) {
    return world.until([&] { return talk.ended; });
}

/// Prefers the first peer: the second is asked when that cannot be.
World::Change first_then(std::initializer_list<Backend*> backups) {
    for (Backend* backup : backups) backup->config.backup = true;
    return {};
}

}  // namespace

// ---- one call -----------------------------------------------------------------------------------

TEST_CASE("a call sends its head, and passes the response on", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    CHECK(backend.talks[0].heard == asked.question.head);
    CHECK(world.peer(0).use->active.get() == 1);
    backend.talks[0].say("HTTP/1.1 200 OK\r\nServer: it\r\nContent-Length: 3\r\n\r\nyes");
    CHECK(asked.end() == connected_and_answered);
    CHECK(asked.payload == "yes");
    CHECK(asked.server == "it");
    CHECK(asked.trailers.empty());
    CHECK(asked.call.asked() == backend.name());
    const auto& use = *world.peer(0).use;
    CHECK(use.calls.get() == 1);
    CHECK(use.connections.get() == 1);
    CHECK(use.statuses[2].get() == 1);
    CHECK(use.active.get() == 0);
    CHECK(use.latency.sum_us() > 0);
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("a response that comes byte by byte is the same response", "[call]") {
    const std::string bytes =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        "HTTP/1.1 200 OK\r\nServer: it\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nye\r\n1\r\ns\r\n0\r\nX: "
        "y\r\n\r\n";
    for (const bool at_once : {true, false}) {
        Backend backend;
        World world({&backend});
        Asked asked(world);
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        if (at_once) {
            backend.talks[0].say(bytes);
        } else {
            for (const char byte : bytes) {
                backend.talks[0].say({&byte, 1});
                world.settle(1);
            }
        }
        CHECK(asked.end() == "connected 103 200 chunked 0 end");
        CHECK(asked.payload == "yes");
        CHECK(asked.server == "it");
        CHECK(asked.trailers == "X: y\r\n");
    }
}

TEST_CASE("a response without a length ends with the connection", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.0 200 OK\r\n\r\nall");
    REQUIRE(world.until([&] { return asked.payload == "all"; }));
    CHECK_FALSE(asked.over);
    backend.talks[0].say(" of it");
    backend.talks[0].close();
    CHECK(asked.end() == "connected 200 until_end 0 end");
    CHECK(asked.payload == "all of it");
}

TEST_CASE("a response without a length whose connection is reset is not whole", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.0 200 OK\r\n\r\nall");
    REQUIRE(world.until([&] { return asked.payload == "all"; }));
    backend.talks[0].reset();
    CHECK(asked.end() == "connected 200 until_end 0 failed 502");
    CHECK(world.failures(0, CallFailure::reset) == 1);
}

TEST_CASE("an answer to HEAD ends with its head, and the length it tells is passed on", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.question.bodiless = true;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    CHECK(asked.end() == "connected 200 none 3 end");
    exchange(world, backend, 0);  // on the same connection
}

TEST_CASE("responses without a body end with their head, and the connection goes on", "[call]") {
    for (const std::string head : {"HTTP/1.1 204 X\r\n\r\n", "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n",
                                   "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n"}) {
        CAPTURE(head);
        Backend backend;
        World world({&backend});
        Asked asked(world);
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        backend.talks[0].heard.clear();
        backend.talks[0].say(head);
        CHECK(asked.end().ends_with(" end"));
        CHECK(asked.payload.empty());
        exchange(world, backend, 0);
    }
}

TEST_CASE("a response that comes before the request was sent whole is passed on", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.put().begin();
    asked.call.send("some");
    REQUIRE(hears(world, backend, 0, "some"));
    backend.talks[0].say("HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n");
    CHECK(asked.end() == "connected 413 none 0 end");
    CHECK(ends(world, backend.talks[0]));  // half a request is on it
}

TEST_CASE("a peer that answers and hangs up on a request it does not read is heard", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.put().begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].listens = false;
    asked.call.send(std::string(8 << 20, 'x'));
    world.settle();
    backend.talks[0].say("HTTP/1.1 413 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    ::shutdown(backend.talks[0].socket.get(), SHUT_RD);
    CHECK(asked.end() == "connected 413 none 0 end");
}

TEST_CASE("a body is framed in chunks, or sent as it is, with the head when it was there first", "[call]") {
    for (const bool chunked : {true, false}) {
        Backend backend;
        World world({&backend});
        Asked asked(world);
        asked.put().question.chunked = chunked;
        asked.begin();
        asked.call.send("first");
        asked.call.send("");
        CHECK(asked.call.unsent() == (chunked ? 10 : 5));
        REQUIRE(hears(world, backend, 0, "first"));
        asked.call.send(std::string(16, 'x'));
        REQUIRE(hears(world, backend, 0, "xxx"));
        asked.call.end_body();
        const std::string head(asked.question.head);
        const std::string wanted = chunked ? "5\r\nfirst\r\n10\r\n" + std::string(16, 'x') + "\r\n0\r\n\r\n"
                                           : "first" + std::string(16, 'x');
        REQUIRE(hears(world, backend, 0, head + wanted));
        CHECK(backend.talks[0].heard == head + wanted);
        CHECK(asked.call.unsent() == 0);
        CHECK(asked.drained > 0);
        backend.talks[0].say(answer);
        CHECK(asked.end() == connected_and_answered);
    }
}

TEST_CASE("what the kernel does not take waits, is told by unsent, and drains", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.put().question.chunked = false;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].listens = false;
    const std::string body(16 << 20, 'x');
    asked.call.send(body);
    world.settle();
    CHECK(asked.call.unsent() > 0);
    const int drained = asked.drained;
    backend.talks[0].listens = true;
    REQUIRE(world.until([&] { return asked.drained > drained; }));
    CHECK(asked.call.unsent() == 0);
    asked.call.end_body();
    REQUIRE(world.until(
        [&] { return backend.talks[0].heard.size() == asked.question.head.size() + body.size(); }));
    backend.talks[0].say(answer);
    CHECK(asked.end() == connected_and_answered);
}

TEST_CASE("what is no response, or too large a head, is 502 with the reason", "[call]") {
    for (const std::string& bytes :
         std::vector<std::string>{"SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"}) {
        Backend backend;
        World world({&backend});
        Asked asked(world);
        asked.terms.response_header_max = 1024;
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        backend.talks[0].say(bytes);
        CHECK(asked.end() == "connected failed 502");
        CHECK_FALSE(asked.reason.empty());
        CHECK(world.failures(0, CallFailure::malformed) == 1);
        CHECK(world.peer(0).use->statuses[0].get() == 1);
        CHECK(ends(world, backend.talks[0]));
    }
}

TEST_CASE("a body that breaks off is a failure behind the response", "[call]") {
    for (const std::string bytes : {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome",
                                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nsome"}) {
        Backend backend, other;
        World world({&backend, &other}, first_then({&other}));
        Asked asked(world);
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        backend.talks[0].say(bytes);
        REQUIRE(world.until([&] { return asked.payload == "some"; }));
        backend.talks[0].close();
        CHECK(asked.end().ends_with(" failed 502"));
        CHECK(world.failures(0, CallFailure::reset) == 1);
        CHECK(world.peer(0).use->statuses[2].get() == 1);
        CHECK(other.talks.empty());
    }
}

TEST_CASE("chunks that are none are a failure behind the response", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
    CHECK(asked.end() == "connected 200 chunked 0 failed 502");
    CHECK(world.failures(0, CallFailure::malformed) == 1);
}

TEST_CASE("a call may be used again, with nothing left of the one before", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.put().begin();
    asked.call.send("lost");
    REQUIRE(hears(world, backend, 0, "lost"));
    backend.talks[0].close();
    CHECK(asked.end() == "connected failed 502");
    asked.question.head = "GET /again HTTP/1.1\r\nHost: a\r\n\r\n";
    asked.question.body = asked.question.chunked = false;
    asked.begin();
    REQUIRE(hears(world, backend, 1));
    CHECK(backend.talks[1].heard == asked.question.head);
    backend.talks[1].say(answer);
    CHECK(asked.end() == connected_and_answered);
    CHECK(asked.call.asked() == backend.name());
}

// ---- connections that are kept -------------------------------------------------------------------

TEST_CASE("a connection is used again", "[call]") {
    Backend backend;
    World world({&backend});
    for (int count = 0; count < 5; ++count) exchange(world, backend, 0);
    CHECK(world.peer(0).use->connections.get() == 1);
    CHECK(world.peer(0).use->calls.get() == 5);
    CHECK(world.peer(0).use->statuses[2].get() == 5);
}

TEST_CASE("of idle connections the one used last is taken", "[call]") {
    Backend backend;
    World world({&backend});
    Asked one(world), two(world);
    one.begin();
    two.begin();
    REQUIRE(hears(world, backend, 1));
    backend.talks[1].say(answer);
    REQUIRE(world.until([&] { return one.over || two.over; }));
    backend.talks[0].say(answer);
    CHECK(one.end() == connected_and_answered);
    CHECK(two.end() == connected_and_answered);
    backend.talks[0].heard.clear();
    exchange(world, backend, 0);
    CHECK(backend.talks.size() == 2);
}

TEST_CASE("with keepalive = 0 no connection is kept", "[call]") {
    Backend backend;
    World world({&backend}, [](conf::Upstream& upstream) { upstream.keepalive = 0; });
    exchange(world, backend, 0);
    CHECK(ends(world, backend.talks[0]));
    exchange(world, backend, 1);
}

TEST_CASE("beyond keepalive the connection that is idle longest is closed, over all peers", "[call]") {
    Backend a, b;
    World world({&a, &b}, [](conf::Upstream& upstream) { upstream.keepalive = 1; });
    exchange(world, a, 0);
    CHECK_FALSE(a.talks[0].ended);
    exchange(world, b, 0);
    CHECK(ends(world, a.talks[0]));
    CHECK_FALSE(b.talks[0].ended);
    exchange(world, a, 1);
    CHECK(ends(world, b.talks[0]));
}

TEST_CASE("a connection carries keepalive_requests, then it is closed", "[call]") {
    Backend backend;
    World world({&backend}, [](conf::Upstream& upstream) { upstream.keepalive_requests = 2; });
    exchange(world, backend, 0);
    CHECK_FALSE(backend.talks[0].ended);
    exchange(world, backend, 0);
    CHECK(ends(world, backend.talks[0]));
    exchange(world, backend, 1);
}

TEST_CASE("a connection that is idle for keepalive_timeout is closed", "[call]") {
    Backend backend;
    World world({&backend}, [](conf::Upstream& upstream) { upstream.keepalive_timeout = 100ms; });
    exchange(world, backend, 0);
    CHECK(ends(world, backend.talks[0]));
    exchange(world, backend, 1);
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("keepalive_timeout does not count while a connection is used again", "[call]") {
    Backend backend;
    World world({&backend}, [](conf::Upstream& upstream) { upstream.keepalive_timeout = 400ms; });
    exchange(world, backend, 0);
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    world.let_pass(600);
    backend.talks[0].say(answer);
    CHECK(asked.end() == connected_and_answered);
}

TEST_CASE("an idle connection that its peer closes, or says something on, is not used again", "[call]") {
    for (const bool closes : {true, false}) {
        Backend backend;
        World world({&backend});
        exchange(world, backend, 0);
        if (closes) {
            backend.talks[0].close();
            world.settle();
        } else {
            backend.talks[0].say("HTTP/1.1 408 Too late\r\n\r\n");
            CHECK(ends(world, backend.talks[0]));
        }
        exchange(world, backend, 1);
        CHECK(world.all_failures(0) == 0);
    }
}

TEST_CASE("a connection on which bytes may be left is not kept", "[call]") {
    const std::vector<std::string> answers{
        answer + "x",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx",
        "HTTP/1.1 204 X\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nyes",
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes",
    };
    for (const std::string& bytes : answers) {
        CAPTURE(bytes);
        Backend backend;
        World world({&backend});
        Asked asked(world);
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        backend.talks[0].say(bytes);
        CHECK(asked.end().ends_with(" end"));
        CHECK(ends(world, backend.talks[0]));
        exchange(world, backend, 1);
    }
}

TEST_CASE("a connection of HTTP/1.0 is kept when it says so", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].heard.clear();
    backend.talks[0].say("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nyes");
    CHECK(asked.end() == connected_and_answered);
    exchange(world, backend, 0);
}

// ---- a connection that had ended ------------------------------------------------------------------

TEST_CASE("a request that met a kept connection's end is made anew, at no cost to the peer", "[call]") {
    Backend backend;
    World world({&backend});
    exchange(world, backend, 0);
    Asked asked(world);
    asked.terms.retries = 0;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].close();
    REQUIRE(hears(world, backend, 1));
    CHECK(backend.talks[1].heard == asked.question.head);
    backend.talks[1].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
    CHECK(asked.call.asked() == backend.name());
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("a body that was sent into a kept connection's end is sent again", "[call]") {
    Backend backend;
    World world({&backend});
    exchange(world, backend, 0);
    Asked asked(world);
    asked.put().begin();
    asked.call.send("body");
    asked.call.end_body();
    REQUIRE(hears(world, backend, 0, "body"));
    backend.talks[0].reset();
    REQUIRE(hears(world, backend, 1, "0\r\n\r\n"));
    CHECK(backend.talks[1].heard == std::string(asked.question.head) + "4\r\nbody\r\n0\r\n\r\n");
    backend.talks[1].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
}

TEST_CASE("what must not be sent twice is not sent again when a kept connection ends", "[call]") {
    Backend backend, other;
    World world({&backend, &other}, first_then({&other}));
    exchange(world, backend, 0);
    Asked asked(world);
    asked.post().begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].close();
    CHECK(asked.end() == "connected failed 502");
    CHECK(backend.talks.size() == 1);
    CHECK(other.talks.empty());
}

TEST_CASE("what must not be sent twice is not sent to a peer that has hung up already", "[call]") {
    Backend backend;
    World world({&backend});
    exchange(world, backend, 0);
    backend.talks[0].close();  // and the loop has not noticed
    Asked asked(world);
    asked.post().begin();
    REQUIRE(hears(world, backend, 1));
    backend.talks[1].say(answer);
    CHECK(asked.end() == connected_and_answered);
}

TEST_CASE("a fresh connection that ends without an answer is the peer's failure", "[call]") {
    Backend backend;
    World world({&backend});
    exchange(world, backend, 0);
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].close();
    REQUIRE(hears(world, backend, 1));
    backend.talks[1].close();
    CHECK(asked.end() == "connected connected failed 502");
    CHECK(world.failures(0, CallFailure::reset) == 1);
    CHECK(backend.talks.size() == 2);
}

TEST_CASE("a kept connection that ends within an answer is the peer's failure", "[call]") {
    Backend backend;
    World world({&backend});
    exchange(world, backend, 0);
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200");
    world.settle();
    backend.talks[0].close();
    CHECK(asked.end() == "connected failed 502");
    CHECK(world.failures(0, CallFailure::reset) == 1);
}

// ---- other peers ---------------------------------------------------------------------------------

TEST_CASE("who cannot be reached is passed by, for any request", "[call]") {
    for (const bool safe : {true, false}) {
        Backend gone, other;
        gone.leave();
        World world({&gone, &other}, first_then({&other}));
        Asked asked(world);
        if (!safe) asked.post();
        asked.begin();
        REQUIRE(hears(world, other, 0));
        other.talks[0].say(answer);
        CHECK(asked.end() == connected_and_answered);
        CHECK(asked.call.asked() == gone.name() + ", " + other.name());
        CHECK(world.failures(0, CallFailure::connect) == 1);
        CHECK(world.peer(0).use->statuses[0].get() == 1);
        CHECK(world.all_failures(1) == 0);
    }
}

TEST_CASE("who fails at once, as a missing Unix socket does, is passed by too", "[call]") {
    Backend gone, other;
    gone.config.address = {conf::Address::Family::unix_path, "/tmp/there-is-no-such-socket", 0};
    World world({&gone, &other}, first_then({&other}));
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, other, 0));
    other.talks[0].say(answer);
    CHECK(asked.end() == connected_and_answered);
    CHECK(world.failures(0, CallFailure::connect) == 1);

    Asked strict(world);
    strict.terms.retries = 0;
    strict.begin();
    CHECK(strict.end() == "failed 502");
    CHECK(strict.reason == "connect failed");
}

TEST_CASE("who does not take the connection in time is passed by, for any request", "[call]") {
    Backend full(0), other;
    full.takes = false;
    std::vector<ipc::UniqueFd> fillers;
    for (int count = 0; count < 3; ++count) {
        fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(full.config.address.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        static_cast<void>(
            ::connect(fillers.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    }
    World world({&full, &other}, first_then({&other}));
    Asked asked(world);
    asked.terms.connect_timeout = 100ms;
    asked.post().begin();
    REQUIRE(hears(world, other, 0));
    other.talks[0].say(answer);
    CHECK(asked.end() == connected_and_answered);
    CHECK(world.failures(0, CallFailure::connect_timeout) == 1);

    asked.terms.retries = 0;
    asked.begin();
    CHECK(asked.end() == "failed 504");
    CHECK(asked.reason == "connect timed out");
}

TEST_CASE("who hangs up, says nonsense or nothing is passed by, where asking twice is safe", "[call]") {
    struct Case {
        std::function<void(Conversation&)> fails;
        CallFailure kind;
        std::string status;
    };
    const std::vector<Case> cases{
        {[](Conversation& talk) { talk.close(); }, CallFailure::reset, "502"},
        {[](Conversation& talk) { talk.reset(); }, CallFailure::reset, "502"},
        {[](Conversation& talk) { talk.say("HTTP/1.1 2"), talk.close(); }, CallFailure::reset, "502"},
        {[](Conversation& talk) { talk.say("nonsense\r\n\r\n"); }, CallFailure::malformed, "502"},
        {[](Conversation&) {}, CallFailure::read_timeout, "504"},
    };
    for (const Case& one : cases) {
        CAPTURE(static_cast<int>(one.kind));
        Backend bad, good;
        World world({&bad, &good}, first_then({&good}));
        Asked safe(world);
        safe.terms.read_timeout = 400ms;
        safe.begin();
        REQUIRE(hears(world, bad, 0));
        one.fails(bad.talks[0]);
        REQUIRE(hears(world, good, 0));
        good.talks[0].say(answer);
        CHECK(safe.end() == "connected connected 200 length 3 end");
        CHECK(safe.call.asked() == bad.name() + ", " + good.name());
        CHECK(world.failures(0, one.kind) == 1);
        CHECK(world.peer(0).use->statuses[0].get() == 1);
        CHECK(world.peer(1).use->statuses[2].get() == 1);

        Asked once(world);
        once.terms.read_timeout = 100ms;
        once.post().begin();
        REQUIRE(hears(world, bad, 1));
        one.fails(bad.talks[1]);
        CHECK(once.end() == "connected failed " + one.status);
        CHECK(world.failures(0, one.kind) == 2);
    }
}

TEST_CASE("as many further peers are asked as retries says", "[call]") {
    for (const std::uint32_t retries : {0u, 1u, 2u, 3u, 9u}) {
        CAPTURE(retries);
        std::array<Backend, 4> gone;
        for (Backend& backend : gone) backend.leave();
        World world({&gone[0], &gone[1], &gone[2], &gone[3]});
        Asked asked(world);
        asked.terms.retries = retries;
        asked.begin();
        CHECK(asked.end() == "failed 502");
        CHECK(asked.reason == "connect failed");
        const auto& names = asked.call.asked();
        CHECK(std::count(names.begin(), names.end(), ',') == std::min(retries, 3u));
    }
}

TEST_CASE("after an answer that stands in retry_statuses another peer is asked", "[call]") {
    Backend busy, good;
    World world({&busy, &good}, first_then({&good}));
    Asked asked(world);
    asked.terms.retry_statuses = {502, 503};
    asked.begin();
    REQUIRE(hears(world, busy, 0));
    busy.talks[0].say("HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy");
    REQUIRE(hears(world, good, 0));
    good.talks[0].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
    CHECK(asked.payload == "yes");
    CHECK(world.failures(0, CallFailure::status) == 1);
    CHECK(world.peer(0).use->statuses[5].get() == 1);
    CHECK(ends(world, busy.talks[0]));
}

TEST_CASE("the last answer is passed on though it stands in retry_statuses", "[call]") {
    const std::string busy = "HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy";
    Backend one, two;
    World world({&one, &two}, first_then({&two}));
    SECTION("when all were asked") {
        Asked asked(world);
        asked.terms.retry_statuses = {503};
        asked.begin();
        REQUIRE(hears(world, one, 0));
        one.talks[0].say(busy);
        REQUIRE(hears(world, two, 0));
        two.talks[0].say(busy);
        CHECK(asked.end() == "connected connected 503 length 4 end");
        CHECK(asked.payload == "busy");
    }
    SECTION("when asking twice is not safe") {
        Asked asked(world);
        asked.terms.retry_statuses = {503};
        asked.post().begin();
        REQUIRE(hears(world, one, 0));
        one.talks[0].say(busy);
        CHECK(asked.end() == "connected 503 length 4 end");
        CHECK(two.talks.empty());
    }
    SECTION("when the other status is not among them") {
        Asked asked(world);
        asked.terms.retry_statuses = {502};
        asked.begin();
        REQUIRE(hears(world, one, 0));
        one.talks[0].say(busy);
        CHECK(asked.end() == "connected 503 length 4 end");
    }
}

TEST_CASE("when no other peer can be asked, what the last one brought is told", "[call]") {
    Backend one, unasked;
    unasked.config.down = true;
    World world({&one, &unasked});
    SECTION("an answer") {
        Asked asked(world);
        asked.terms.retry_statuses = {503};
        asked.begin();
        REQUIRE(hears(world, one, 0));
        one.talks[0].say("HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy");
        CHECK(asked.end() == "connected 503 length 4 end");
        CHECK(asked.payload == "busy");
    }
    SECTION("silence") {
        Asked asked(world);
        asked.terms.read_timeout = 100ms;
        asked.begin();
        CHECK(asked.end() == "connected failed 504");
        CHECK(asked.reason == "no response in time");
    }
    SECTION("its end") {
        Asked asked(world);
        asked.begin();
        REQUIRE(hears(world, one, 0));
        one.talks[0].close();
        CHECK(asked.end() == "connected failed 502");
        CHECK(asked.reason == "the peer ended the connection");
    }
    SECTION("a refused connection") {
        one.leave();
        Asked asked(world);
        asked.begin();
        CHECK(asked.end() == "failed 502");
        CHECK(asked.reason == "connect failed");
    }
}

TEST_CASE("without any peer to ask a call is 502, with all of them full 503, at once", "[call]") {
    Backend one, two;
    SECTION("down") {
        one.config.down = two.config.down = true;
        World world({&one, &two});
        Asked asked(world);
        asked.begin();
        CHECK(asked.events == "failed 502");
        CHECK(asked.call.asked().empty());
    }
    SECTION("full") {
        one.config.max_conns = two.config.max_conns = 1;
        World world({&one, &two});
        Asked first(world), second(world), third(world);
        first.begin();
        second.begin();
        third.begin();
        CHECK(third.events == "failed 503");
        CHECK(third.reason == "all peers are at max_conns");
        first.call.cancel();
        third.begin();
        CHECK_FALSE(third.over);
    }
}

TEST_CASE("a body is kept for another peer up to 64 KiB, and whole", "[call]") {
    for (const std::size_t size : {std::size_t{1000}, std::size_t{60'000}}) {
        Backend bad, good;
        World world({&bad, &good}, first_then({&good}));
        Asked asked(world);
        asked.put().begin();
        const std::string half(size / 2, 'x');
        asked.call.send(half);
        REQUIRE(hears(world, bad, 0, half));
        asked.call.send(half);
        bad.talks[0].reset();
        REQUIRE(hears(world, good, 0));
        asked.call.end_body();
        REQUIRE(hears(world, good, 0, "\r\n0\r\n\r\n"));
        char hex[16];
        std::snprintf(hex, sizeof hex, "%zx\r\n", half.size());
        const std::string chunk = hex + half + "\r\n";
        CHECK(good.talks[0].heard == std::string(asked.question.head) + chunk + chunk + "0\r\n\r\n");
        good.talks[0].say(answer);
        CHECK(asked.end() == "connected connected 200 length 3 end");
    }
}

TEST_CASE("a body that was not kept is not sent to another peer", "[call]") {
    Backend bad, good;
    World world({&bad, &good}, first_then({&good}));
    Asked asked(world);
    asked.put().begin();
    REQUIRE(hears(world, bad, 0));
    asked.call.send(std::string(70'000, 'x'));
    asked.call.send("more");
    REQUIRE(hears(world, bad, 0, "more"));
    bad.talks[0].reset();
    CHECK(asked.end() == "connected failed 502");
    CHECK(good.talks.empty());
}

TEST_CASE("a body that is here goes to each peer that is asked, whole, from memory and files", "[call]") {
    const TemporaryFolder folder;
    const std::string in_memory(300'000, 'm'), in_file(200'000, 'f');
    const ipc::UniqueFd file(::open(folder.write("body", "--" + in_file).c_str(), O_RDONLY | O_CLOEXEC));
    const std::vector<worker::connection::Chunk> body{
        {{}, in_memory.data(), -1, 0, in_memory.size()},
        {{}, nullptr, file.get(), 2, in_file.size()},
    };
    const std::string head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n";
    Backend bad, worse, good;
    World world({&bad, &worse, &good}, first_then({&worse, &good}));
    Asked asked(world);
    asked.question.head = head;
    asked.question.whole = body;
    SECTION("where asking twice does no harm") {
        asked.begin();
        REQUIRE(hears(world, bad, 0, "mmm"));
        bad.talks[0].reset();
        REQUIRE(world.until([&] { return worse.talks.size() + good.talks.size() == 1; }));
        Backend& second = worse.talks.empty() ? good : worse;
        Backend& third = worse.talks.empty() ? worse : good;
        REQUIRE(hears(world, second, 0, in_file));
        second.talks[0].reset();
        REQUIRE(hears(world, third, 0, in_file));
        CHECK((third.talks[0].heard == head + in_memory + in_file));
        third.talks[0].say(answer);
        CHECK(asked.end() == "connected connected connected 200 length 3 end");
        CHECK(asked.drained == 0);  // there is nothing to ask for
        world.settle();
        CHECK_FALSE(third.talks[0].ended);  // the connection is kept
    }
    SECTION("and else to one that takes the connection") {
        bad.leave();
        asked.question.idempotent = false;
        asked.begin();
        REQUIRE(world.until([&] { return worse.talks.size() + good.talks.size() == 1; }));
        Backend& second = worse.talks.empty() ? good : worse;
        REQUIRE(hears(world, second, 0, in_file));
        second.talks[0].reset();
        CHECK(asked.end() == "connected failed 502");
    }
}

TEST_CASE("what was sent while it connects goes to whoever takes the connection", "[call]") {
    Backend gone, good;
    gone.leave();
    World world({&gone, &good}, first_then({&good}));
    Asked asked(world);
    asked.put().begin();
    asked.call.send(std::string(100'000, 'x'));
    asked.call.end_body();
    REQUIRE(hears(world, good, 0, "\r\n0\r\n\r\n"));
    CHECK(good.talks[0].heard.size() > 100'000);
    good.talks[0].say(answer);
    CHECK(asked.end() == connected_and_answered);
}

TEST_CASE("retries have a budget: ten at once, then a fifth of the calls and two a second", "[call]") {
    Backend gone, good;
    gone.leave();
    World world({&gone, &good}, first_then({&good}));
    const auto begun_us = ipc::monotonic_us();
    constexpr int calls = 100;
    int answered = 0;
    for (int count = 0; count < calls; ++count) {
        Asked asked(world);
        asked.begin();
        REQUIRE(world.until([&] {
            for (Conversation& talk : good.talks)
                if (!talk.heard.empty()) talk.heard.clear(), talk.say(answer);
            return asked.over;
        }));
        answered += asked.reason.empty() ? 1 : 0;
        if (!asked.reason.empty()) CHECK(asked.reason == "connect failed");
    }
    const double seconds = static_cast<double>(ipc::monotonic_us() - begun_us) / 1e6;
    CHECK(answered >= 10 + calls / 5 - 3);
    CHECK(answered <= 10 + calls / 5 + 2 * seconds + 1);
}

TEST_CASE("hash asks the peer that its key belongs to", "[call]") {
    Backend one, two, three;
    World world({&one, &two, &three}, [](conf::Upstream& upstream) {
        upstream.balance = {conf::Balance::How::hash, "$uri"};
    });
    Asked first(world), second(world);
    first.question.key = second.question.key = hash_of("/a");
    first.begin();
    second.begin();
    CHECK(first.call.asked() == second.call.asked());
}

// ---- ejection ------------------------------------------------------------------------------------

namespace {

World::Change ejecting(std::uint32_t failures) {
    return [failures](conf::Upstream& upstream) { upstream.eject_failures = failures; };
}

/// Calls that `bad` refuses and `good` answers.
void fail_over(World& world, Backend& good, int count) {
    while (count-- > 0) {
        Asked asked(world);
        asked.begin();
        REQUIRE(world.until([&] {
            for (Conversation& talk : good.talks)
                if (!talk.heard.empty()) talk.heard.clear(), talk.say(answer);
            return asked.over;
        }));
    }
}

}  // namespace

TEST_CASE("failures in a row eject a peer, which is logged and counted once", "[call]") {
    const Logged logged;
    Backend bad, good;
    bad.leave();
    good.config.backup = true;
    World world({&bad, &good}, ejecting(3));
    fail_over(world, good, 2);
    CHECK(world.peer(0).cell->ejections.get() == 0);
    CHECK(world.peer(0).cell->failures_in_row.load() == 2);
    fail_over(world, good, 3);
    CHECK(world.peer(0).cell->ejections.get() == 1);
    CHECK(world.peer(0).ejected(world.loop.clock().now_ms()));
    CHECK(world.failures(0, CallFailure::connect) == 3);
    CHECK(world.peer(0).use->calls.get() == 3);
    const std::string text = logged.text();
    CHECK(text.find("peer is ejected upstream=u peer=" + bad.name() + " failures=3 for_ms=10000") !=
          std::string::npos);
    CHECK(text.find("peer is ejected") == text.rfind("peer is ejected"));
}

TEST_CASE("an answer in between forgives a peer its failures", "[call]") {
    Backend one, two;
    two.config.backup = true;
    World world({&one, &two}, ejecting(2));
    for (int round = 0; round < 3; ++round) {
        Asked asked(world);
        asked.terms.retries = 0;
        asked.begin();
        const auto talk = one.talks.size() - (round > 0 ? 1 : 0);
        REQUIRE(hears(world, one, talk));
        one.talks[talk].say("nonsense\r\n\r\n");
        CHECK(asked.end() == "connected failed 502");
        CHECK(world.peer(0).cell->failures_in_row.load() == 1);
        exchange(world, one, talk + 1);
        CHECK(world.peer(0).cell->failures_in_row.load() == 0);
        one.talks[talk + 1].heard.clear();
    }
    CHECK(world.peer(0).cell->ejections.get() == 0);
}

TEST_CASE("a peer is asked again when eject_time is over", "[call]") {
    const Logged logged;
    Backend bad, good;
    good.config.backup = true;
    World world({&bad, &good}, [](conf::Upstream& upstream) {
        upstream.eject_failures = 1;
        upstream.eject_time = 500ms;
    });
    Asked failing(world);
    failing.terms.retries = 0;
    failing.begin();
    REQUIRE(hears(world, bad, 0));
    bad.talks[0].close();
    CHECK(failing.end() == "connected failed 502");
    exchange(world, good, 0);
    world.let_pass(500);
    exchange(world, bad, 1);
}

TEST_CASE("the only peer is never ejected, and with eject_failures = 0 none is", "[call]") {
    const Logged logged;
    Backend one, two;
    one.leave();
    {
        World world({&one}, ejecting(1));
        fail_over(world, two, 5);
        CHECK(world.peer(0).cell->ejections.get() == 0);
    }
    two.config.backup = true;
    World world({&one, &two}, ejecting(0));
    fail_over(world, two, 5);
    CHECK(world.peer(0).cell->ejections.get() == 0);
}

TEST_CASE("what a client does is not held against a peer", "[call]") {
    Backend one, two;
    two.config.backup = true;
    World world({&one, &two}, ejecting(1));
    for (int round = 0; round < 3; ++round) {
        Asked leaving(world);
        leaving.begin();
        REQUIRE(world.until([&] { return one.talks.size() > static_cast<std::size_t>(round); }));
        leaving.call.cancel();
    }
    CHECK(world.all_failures(0) == 0);
    CHECK(world.peer(0).cell->ejections.get() == 0);
}

TEST_CASE("all workers know of an ejection, of their failures in a row and of each other's calls", "[call]") {
    const Logged logged;
    auto board = ipc::Scoreboard::make();
    REQUIRE(board);
    Backend bad, good;
    bad.leave();
    good.config.backup = true;
    good.config.max_conns = 1;
    REQUIRE(board->add_peer("u", bad.name()) != 0);
    REQUIRE(board->add_peer("u", good.name()) != 0);
    const auto row = [&] { return &board->row(*board->take(static_cast<std::uint32_t>(::getpid()))); };
    ipc::WorkerCell* own = row();
    World one({&bad, &good}, ejecting(3), &*board, own);
    World two({&bad, &good}, ejecting(3), &*board, row());
    fail_over(one, good, 2);
    fail_over(two, good, 2);
    CHECK(one.peer(0).cell == two.peer(0).cell);
    CHECK(one.peer(0).cell->ejections.get() == 1);
    CHECK(own->peers[board->peer("u", bad.name())].calls.get() == 2);

    Asked holding(one);
    holding.begin();
    CHECK(one.peer(1).use->active.get() == 1);
    // The other worker's calls fill the one that is well, and who is ejected is better than nobody.
    Asked other(two);
    other.terms.retries = 0;
    other.begin();
    CHECK(other.end() == "failed 502");
    CHECK(other.call.asked() == bad.name());
}

// ---- the caller's wishes --------------------------------------------------------------------------

TEST_CASE("a call that is cancelled leaves its peer, and says nothing more", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    SECTION("while it connects") {
        asked.begin();
        asked.call.cancel();
        world.settle();
        CHECK(asked.events.empty());
    }
    SECTION("while it waits for an answer") {
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        asked.call.cancel();
        backend.talks[0].say(answer);
        world.settle();
        CHECK(asked.events == "connected");
        CHECK(ends(world, backend.talks[0]));
    }
    SECTION("within a body") {
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
        REQUIRE(world.until([&] { return asked.payload == "some"; }));
        asked.call.cancel();
        CHECK(ends(world, backend.talks[0]));
        CHECK(asked.events == "connected 200 length 9");
    }
    CHECK(asked.call.over());
    CHECK(world.peer(0).use->active.get() == 0);
    CHECK(world.all_failures(0) == 0);
    asked.call.cancel();
    asked.call.send("nobody");
    asked.call.end_body();
    asked.call.resume();
    CHECK(asked.call.unsent() == 0);
}

TEST_CASE("a call may be cancelled from whatever it tells", "[call]") {
    const std::string bytes =
        "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n2\r\nye\r\n1\r\ns\r\n0\r\n\r\n";
    for (const std::string last : {"connected", "103", "200 chunked 0", "payload", "drained"}) {
        CAPTURE(last);
        Backend backend;
        World world({&backend});
        Asked asked(world);
        bool cancelled = false;
        const auto cancel = [&] {
            CHECK_FALSE(cancelled);
            cancelled = true;
            asked.call.cancel();
        };
        asked.on_event = [&](const std::string& event) {
            CHECK_FALSE(cancelled);
            if (event == last) cancel();
        };
        asked.in_payload = [&] {
            CHECK_FALSE(cancelled);
            if (last == "payload") cancel();
        };
        asked.in_drained = [&] {
            if (last == "drained") cancel();
        };
        asked.put().begin();
        REQUIRE(world.until([&] {
            for (Conversation& talk : backend.talks)
                if (!talk.heard.empty()) talk.heard.clear(), talk.say(bytes);
            return cancelled;
        }));
        world.settle();
        CHECK(asked.call.over());
        CHECK_FALSE(asked.over);
    }
}

TEST_CASE("a call that is destroyed leaves its peer", "[call]") {
    Backend backend;
    World world({&backend});
    {
        Asked asked(world);
        asked.begin();
        REQUIRE(hears(world, backend, 0));
    }
    CHECK(world.peer(0).use->active.get() == 0);
    CHECK(ends(world, backend.talks[0]));
}

TEST_CASE("an upstream that goes closes what was idle", "[call]") {
    Backend backend;
    {
        World world({&backend});
        exchange(world, backend, 0);
    }
    World other({});
    CHECK(other.until([&] { return backend.attend(), backend.talks[0].ended; }));
}

TEST_CASE("a call that is paused reads no more, however long, until it is resumed", "[call]") {
    constexpr std::size_t size = 32 << 20;
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.read_timeout = 400ms;
    asked.in_payload = [&] { asked.call.pause(); };
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
    backend.talks[0].say(std::string(size, 'x'));
    REQUIRE(world.until([&] { return !asked.payload.empty(); }));
    const std::size_t got = asked.payload.size();
    world.let_pass(600);
    CHECK(asked.payload.size() == got);
    CHECK(backend.talks[0].said < size);
    CHECK_FALSE(asked.over);
    asked.in_payload = {};
    asked.call.resume();
    CHECK(asked.end() == "connected 200 length 33554432 end");
    CHECK(asked.payload.size() == size);
}

TEST_CASE("a call that is paused before its response is not overdue, and goes on when it is resumed",
          "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.read_timeout = 400ms;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    asked.call.pause();
    backend.talks[0].say(answer);
    world.let_pass(600);
    CHECK(asked.events == "connected");
    asked.call.resume();
    CHECK(asked.end() == connected_and_answered);
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("a call that is paused while it connects connects, and reads when it is resumed", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.begin();
    asked.call.pause();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say(answer);
    world.settle();
    CHECK(asked.events == "connected");
    asked.call.resume();
    CHECK(asked.end() == connected_and_answered);
}

TEST_CASE("a call that is paused and resumed at each piece gets all", "[call]") {
    constexpr std::size_t size = 4 << 20;
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.in_payload = [&] {
        asked.call.pause();
        asked.call.resume();
    };
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                         std::string(size, 'x'));
    CHECK(asked.end().ends_with(" end"));
    CHECK(asked.payload.size() == size);
}

// ---- pipes ---------------------------------------------------------------------------------------

TEST_CASE("a large body comes by a pipe, for those who take one, and is whole", "[call]") {
    std::string body;
    while (body.size() < 3'000'000) body += std::to_string(body.size()) + " ";
    for (const bool inside : {true, false}) {
        CAPTURE(inside);
        Backend backend;
        World world({&backend});
        Asked asked(world);
        asked.question.pipe = true;
        asked.on_piped = [&] {
            if (!inside) return;
            asked.empty_pipe();
            asked.call.resume();
        };
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        backend.talks[0].heard.clear();
        backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\n\r\n" + body);
        REQUIRE(world.until([&] {
            if (asked.pipe && !inside) {
                asked.empty_pipe();
                asked.call.resume();
            }
            return asked.over && asked.in_pipe == 0;
        }));
        CHECK(asked.end() == "connected 200 length " + std::to_string(body.size()) + " end");
        CHECK(asked.pipes > 1);
        CHECK((asked.payload == body));  // too much to be shown
        exchange(world, backend, 0);     // the connection is clean
    }
}

TEST_CASE("a small body, and one without a length, is copied", "[call]") {
    for (const std::string head : {"Content-Length: 60000\r\n", "Transfer-Encoding: chunked\r\n"}) {
        Backend backend;
        World world({&backend});
        Asked asked(world);
        asked.question.pipe = true;
        asked.begin();
        REQUIRE(hears(world, backend, 0));
        const std::string body(60'000, 'x');
        backend.talks[0].say("HTTP/1.1 200 OK\r\n" + head + "\r\n" +
                             (head[0] == 'C' ? body : "EA60\r\n" + body + "\r\n0\r\n\r\n"));
        CHECK(asked.end().ends_with(" end"));
        CHECK(asked.pipes == 0);
        CHECK(asked.payload == body);
    }
}

TEST_CASE("a large body that breaks off in a pipe is a failure", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.question.pipe = true;
    asked.on_piped = [&] {
        asked.empty_pipe();
        asked.call.resume();
    };
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + std::string(100'000, 'x'));
    REQUIRE(world.until([&] { return asked.payload.size() == 100'000; }));
    backend.talks[0].close();
    CHECK(asked.end() == "connected 200 length 3000000 failed 502");
    CHECK(world.failures(0, CallFailure::reset) == 1);
}

TEST_CASE("a pipe whose bytes are still on their way is lent to nobody else", "[call]") {
    Backend backend;
    World world({&backend});
    std::vector<int> lent;
    std::deque<Asked> all;
    for (int count = 0; count < 3; ++count) {
        Asked& asked = all.emplace_back(world);
        asked.question.pipe = true;
        asked.begin();
        REQUIRE(hears(world, backend, static_cast<std::size_t>(count)));
        backend.talks.back().say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" +
                                 std::string(1'000'000, 'x'));
        REQUIRE(world.until([&] { return bool(asked.pipe); }));
        lent.push_back(asked.pipe->reading.get());
        if (count == 0) asked.call.cancel();  // its pipe is held, with what is in it
    }
    std::sort(lent.begin(), lent.end());
    CHECK(std::unique(lent.begin(), lent.end()) == lent.end());
    all.clear();  // none was emptied
    const auto fresh = world.upstreams().borrow_pipe();
    REQUIRE(fresh);
    CHECK(fresh->empty());
}

// ---- tunnels -------------------------------------------------------------------------------------

TEST_CASE("an upgrade that was asked for is a tunnel both ways, until the peer ends it", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.question.upgrade = true;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfirst");
    REQUIRE(world.until([&] { return asked.payload == "first"; }));
    asked.call.send("from us\r\n\r\n");
    REQUIRE(hears(world, backend, 0, "from us"));
    backend.talks[0].say("HTTP/1.1 200 OK\r\n\r\n");
    REQUIRE(world.until([&] { return asked.payload == "firstHTTP/1.1 200 OK\r\n\r\n"; }));
    backend.talks[0].close();
    CHECK(asked.end() == "connected 101 until_end 0 end");
    CHECK(world.peer(0).use->statuses[1].get() == 1);
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("an upgrade that nobody asked for is malformed", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    CHECK(asked.end() == "connected failed 502");
    CHECK(world.failures(0, CallFailure::malformed) == 1);
}

TEST_CASE("a peer that does not upgrade answers as always", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.question.upgrade = true;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].heard.clear();
    backend.talks[0].say(answer);
    CHECK(asked.end() == connected_and_answered);
    exchange(world, backend, 0);
}

TEST_CASE("a tunnel that is quiet for read_timeout ends, one that is used does not, whatever timeout is",
          "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.question.upgrade = true;
    asked.terms.read_timeout = 400ms;
    asked.terms.timeout = 300ms;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    REQUIRE(world.until([&] { return asked.status == 101; }));
    world.let_pass(600, [&] { asked.call.send("x"); });
    CHECK_FALSE(asked.over);
    CHECK(asked.end() == "connected 101 until_end 0 end");
    CHECK(world.all_failures(0) == 0);
    CHECK(ends(world, backend.talks[0]));
}

// ---- time ----------------------------------------------------------------------------------------

TEST_CASE("bytes in between renew read_timeout", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.read_timeout = 400ms;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    world.let_pass(600, [&] { backend.talks[0].say("1\r\nx\r\n"); });
    CHECK_FALSE(asked.over);
    backend.talks[0].say("0\r\n\r\n");
    CHECK(asked.end() == "connected 200 chunked 0 end");
}

TEST_CASE("a body that stops for read_timeout is 504 behind the response", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.read_timeout = 100ms;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nx");
    CHECK(asked.end() == "connected 200 length 6 failed 504");
    CHECK(world.failures(0, CallFailure::read_timeout) == 1);
}

TEST_CASE("read_timeout does not count while the client still sends its body", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.read_timeout = 100ms;
    asked.put().begin();
    REQUIRE(hears(world, backend, 0));
    world.let_pass(400);
    CHECK_FALSE(asked.over);
    asked.call.end_body();
    CHECK(asked.end() == "connected failed 504");
}

TEST_CASE("a peer that takes nothing of the request for send_timeout is 504", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.send_timeout = 100ms;
    asked.put().begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].listens = false;
    asked.call.send(std::string(32 << 20, 'x'));
    CHECK(asked.end() == "connected failed 504");
    CHECK(asked.reason == "the peer takes no request");
    CHECK(world.failures(0, CallFailure::send_timeout) == 1);
}

TEST_CASE("timeout ends it all, with no further peer", "[call]") {
    Backend silent, other;
    World world({&silent, &other}, first_then({&other}));
    Asked asked(world);
    asked.terms.timeout = 400ms;
    asked.begin();
    REQUIRE(hears(world, silent, 0));
    SECTION("before an answer") { CHECK(asked.end() == "connected failed 504"); }
    SECTION("within an answer, however many bytes come") {
        silent.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        REQUIRE(world.until([&] { return silent.talks[0].say("x"), asked.over; }));
        CHECK(asked.end() == "connected 200 length 1000000 failed 504");
    }
    CHECK(asked.reason == "all took too long");
    CHECK(other.talks.empty());
    CHECK(world.failures(0, CallFailure::read_timeout) == 1);
}

TEST_CASE("timeout counts over all attempts", "[call]") {
    Backend one, two;
    World world({&one, &two}, first_then({&two}));
    Asked asked(world);
    asked.terms.timeout = 1000ms;
    asked.terms.read_timeout = 100ms;
    asked.begin();
    REQUIRE(hears(world, two, 0));
    two.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    REQUIRE(world.until([&] { return two.talks[0].say("x"), asked.over; }));
    CHECK(asked.reason == "all took too long");
    CHECK(world.failures(0, CallFailure::read_timeout) == 1);
}

TEST_CASE("timeout is no peer's failure when it was the client that took nothing", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.timeout = 400ms;
    asked.in_payload = [&] { asked.call.pause(); };
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nx");
    CHECK(asked.end() == "connected 200 length 6 failed 504");
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("a call that is over leaves no deadline behind", "[call]") {
    Backend backend;
    World world({&backend});
    Asked asked(world);
    asked.terms.timeout = asked.terms.read_timeout = 400ms;
    asked.begin();
    REQUIRE(hears(world, backend, 0));
    backend.talks[0].heard.clear();
    backend.talks[0].say(answer);
    CHECK(asked.end() == connected_and_answered);
    world.let_pass(600);
    CHECK(asked.events == connected_and_answered);
    exchange(world, backend, 0);
}

TEST_CASE("many calls at once are answered, each with its own", "[call]") {
    Backend one, two, three;
    World world({&one, &two, &three});
    std::deque<Asked> all;
    for (int count = 0; count < 60; ++count) all.emplace_back(world).begin();
    std::size_t over = 0;
    REQUIRE(world.until([&] {
        for (Backend* backend : {&one, &two, &three})
            for (Conversation& talk : backend->talks)
                if (!talk.heard.empty()) talk.heard.clear(), talk.say(answer);
        over = static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [](const Asked& asked) { return asked.over; }));
        return over == all.size();
    }));
    for (const Asked& asked : all) CHECK(asked.events == connected_and_answered);
    for (std::size_t index = 0; index < 3; ++index) CHECK(world.peer(index).use->calls.get() == 20);
}
