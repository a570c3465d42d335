// tests/worker/upstream_hedge_test.cpp: calls of which a second copy goes to another peer. Peers are the
// test's.
#include "tests/worker/upstream_world.h"

namespace {

using ipc::CallFailure;
using std::chrono_literals::operator""ms;

const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
const std::string sorry = "HTTP/1.1 500 Sorry\r\nServer: sorry\r\nContent-Length: 5\r\n\r\nsorry";

/// Two peers: the first is asked first, and a copy goes to the second after 20 ms.
struct Pair {
    explicit Pair(const World::Change& change = {})
        : world(
              {&first, &second},
              [&](conf::Upstream& upstream) {
                  upstream.peers[1].backup = true;
                  upstream.hedge = {.on = true, .delay_min = 20ms, .delay_max = 20ms, .budget = 100};
                  if (change) change(upstream);
              },
              &*board, row) {}

    /// The peer has heard this on its connection number `at`.
    bool hears(Backend& backend, std::size_t at = 0, std::string_view text = "\r\n\r\n") {
        return world.until([&, at, text] {
            return backend.talks.size() > at && backend.talks[at].heard.find(text) != std::string::npos;
        });
    }
    bool loses(Backend& backend) {
        return world.until([&] { return backend.talks.at(0).ended; });
    }
    /// Until both peers have it.
    void begin(Asked& asked) {
        asked.begin();
        REQUIRE(hears(first));
        REQUIRE(hears(second));
        CHECK(use().hedging.get() == 1);
    }
    /// Nothing is held against either, and nothing is under way.
    void check_neutral() {
        CHECK(world.all_failures(0) == 0);
        CHECK(world.all_failures(1) == 0);
        CHECK(use().hedging.get() == 0);
    }
    [[nodiscard]] const ipc::UpstreamUse& use() { return row->upstreams[index]; }

    ipc::Result<ipc::Scoreboard> board = ipc::Scoreboard::make();
    std::uint32_t index = board->add_upstream("u");
    ipc::WorkerCell* row = &board->row(*board->take(1));
    Backend first, second;
    World world;
};

}  // namespace

TEST_CASE("the copy that answers first is the answer, and the other connection ends", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    pair.begin(asked);
    CHECK(pair.second.talks[0].heard == asked.question.head);
    CHECK(asked.call.asked() == pair.first.name() + ", " + pair.second.name());
    SECTION("the second one") {
        pair.second.talks[0].say(answer.substr(0, answer.size() - 1));
        CHECK(pair.loses(pair.first));  // and not only at the end
        CHECK_FALSE(asked.over);
        pair.second.talks[0].say(answer.substr(answer.size() - 1));
        CHECK(asked.end() == "connected connected 200 length 3 end");
        CHECK_FALSE(pair.second.talks[0].ended);
        CHECK(pair.use().hedges_won.get() == 1);
        CHECK(pair.world.peer(1).use->statuses[2].get() == 1);
    }
    SECTION("the first one after all") {
        pair.first.talks[0].say(answer);
        CHECK(asked.end() == "connected connected 200 length 3 end");
        CHECK(pair.loses(pair.second));
        CHECK_FALSE(pair.first.talks[0].ended);
        CHECK(pair.use().hedges_won.get() == 0);
        CHECK(pair.world.peer(0).use->statuses[2].get() == 1);
    }
    CHECK(asked.payload == "yes");
    CHECK(pair.use().hedges.get() == 1);
    pair.check_neutral();
}

TEST_CASE("a call whose answer has begun has no copy", "[call][hedging]") {
    Pair pair([](conf::Upstream& upstream) { upstream.hedge.delay_min = upstream.hedge.delay_max = 300ms; });
    Asked asked(pair.world);
    asked.begin();
    REQUIRE(pair.hears(pair.first));
    pair.first.talks[0].say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ny");
    REQUIRE(pair.world.until([&] { return asked.payload == "y"; }));
    pair.world.let_pass(500);
    pair.first.talks[0].say("es");
    CHECK(asked.end() == "connected 200 length 3 end");
    CHECK(pair.use().hedges.get() == 0);
    CHECK(pair.second.talks.empty());
}

TEST_CASE("what must not be made twice has no copy", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    SECTION("POST") { asked.post(); }
    SECTION("an upgrade") { asked.question.upgrade = true; }
    SECTION("a body that is not complete") {
        asked.put().begin();
        asked.call.send("half");
    }
    SECTION("a body of which too much has gone") {
        asked.put().begin();
        REQUIRE(pair.hears(pair.first));
        asked.call.send(std::string(70'000, 'x'));
        asked.call.end_body();
    }
    if (asked.call.over()) asked.begin();
    REQUIRE(pair.hears(pair.first));
    pair.world.let_pass(200);
    CHECK(pair.use().hedges.get() == 0);
    CHECK(pair.second.talks.empty());
    asked.call.cancel();
}

TEST_CASE("a body that is still here goes to both, counted from its end", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    asked.put().begin();
    asked.call.send("all of ");
    pair.world.let_pass(200);
    CHECK(pair.second.talks.empty());
    asked.call.send("it");
    asked.call.end_body();
    REQUIRE(pair.hears(pair.second, 0, "7\r\nall of \r\n2\r\nit\r\n0\r\n\r\n"));
    CHECK(pair.first.talks[0].heard == pair.second.talks[0].heard);
    pair.second.talks[0].say(answer);
    CHECK(asked.end().ends_with("200 length 3 end"));
    pair.check_neutral();
}

TEST_CASE("a peer that takes no connection is overtaken", "[call][hedging]") {
    Backend deaf(0);
    deaf.takes = false;
    ipc::UniqueFd filling[8];
    Backend second;
    World world({&deaf, &second}, [&](conf::Upstream& upstream) {
        upstream.peers[1].backup = true;
        upstream.hedge = {.on = true, .delay_min = 20ms, .delay_max = 20ms, .budget = 100};
    });
    for (auto& socket : filling) {
        socket = ipc::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        (void)::connect(socket.get(), reinterpret_cast<const sockaddr*>(&world.peer(0).address),
                        world.peer(0).address_size);
    }
    Asked asked(world);
    asked.begin();
    REQUIRE(world.until([&] { return !second.talks.empty() && !second.talks[0].heard.empty(); }));
    second.talks[0].say(answer);
    CHECK(asked.end() == "connected 200 length 3 end");
    CHECK(world.all_failures(0) == 0);
}

TEST_CASE("while one copy fails the other is waited for, and nobody else is asked", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    asked.terms.retries = 0;
    pair.begin(asked);
    SECTION("the first") {
        pair.first.talks[0].close();
        REQUIRE(pair.world.until([&] { return pair.world.failures(0, CallFailure::reset) == 1; }));
        CHECK_FALSE(asked.over);
        pair.second.talks[0].say(answer);
        CHECK(asked.end().ends_with("200 length 3 end"));
        CHECK(pair.use().hedges_won.get() == 1);
    }
    SECTION("the second") {
        pair.second.talks[0].reset();
        REQUIRE(pair.world.until([&] { return pair.world.failures(1, CallFailure::reset) == 1; }));
        CHECK_FALSE(asked.over);
        pair.first.talks[0].say(answer);
        CHECK(asked.end().ends_with("200 length 3 end"));
        CHECK(pair.use().hedges_won.get() == 0);
    }
    SECTION("one says what is no response") {
        pair.second.talks[0].say("what?\r\n\r\n");
        REQUIRE(pair.world.until([&] { return pair.world.failures(1, CallFailure::malformed) == 1; }));
        CHECK_FALSE(asked.over);
        pair.first.talks[0].say(answer);
        CHECK(asked.end().ends_with("200 length 3 end"));
    }
    SECTION("both") {
        pair.second.talks[0].close();
        pair.first.talks[0].close();
        CHECK(asked.end().ends_with("failed 502"));
        CHECK(pair.world.all_failures(0) == 1);
        CHECK(pair.world.all_failures(1) == 1);
    }
    CHECK(asked.events.starts_with("connected connected "));
    CHECK(pair.use().hedging.get() == 0);
}

TEST_CASE("a copy that cannot be sent leaves the first one alone", "[call][hedging]") {
    Pair pair;
    pair.second.leave();
    Asked asked(pair.world);
    asked.begin();
    REQUIRE(pair.hears(pair.first));
    REQUIRE(pair.world.until([&] { return pair.world.failures(1, CallFailure::connect) == 1; }));
    pair.first.talks[0].say(answer);
    CHECK(asked.end() == "connected 200 length 3 end");
    CHECK(pair.use().hedging.get() == 0);
}

TEST_CASE("an answer that says that its peer failed waits for a better one", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    const bool first_fails = GENERATE(true, false);
    Backend& bad = first_fails ? pair.first : pair.second;
    Backend& good = first_fails ? pair.second : pair.first;
    pair.begin(asked);
    bad.talks[0].say(sorry);
    pair.world.settle(20);
    CHECK(asked.events == "connected connected");
    SECTION("which comes") {
        good.talks[0].say(answer);
        CHECK(asked.end() == "connected connected 200 length 3 end");
        CHECK(pair.loses(bad));
        CHECK(pair.world.peer(first_fails ? 0 : 1).use->statuses[5].get() == 1);
        CHECK(pair.use().hedges_won.get() == (first_fails ? 1 : 0));
        pair.check_neutral();
    }
    SECTION("which does not come: it is passed on, whole") {
        asked.terms.retries = 0;
        good.talks[0].close();
        CHECK(asked.end() == "connected connected 500 length 5 end");
        CHECK(asked.payload == "sorry");
        CHECK(asked.server == "sorry");
        CHECK(pair.world.all_failures(first_fails ? 1 : 0) == 1);
    }
    SECTION("which is bad too") {
        good.talks[0].say("HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\nno");
        CHECK(asked.end() == "connected connected 503 length 2 end");
        CHECK(pair.loses(bad));
    }
    SECTION("whose peer is told nothing when the client leaves") {
        asked.call.cancel();
        CHECK(pair.loses(bad));
        CHECK(pair.loses(good));
        pair.check_neutral();
    }
    CHECK(pair.use().hedging.get() == 0);
}

TEST_CASE("a held answer whose rest comes later is passed on as it comes", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    pair.begin(asked);
    pair.first.talks[0].say("HTTP/1.1 500 Sorry\r\nContent-Length: 5\r\n\r\nso");
    pair.world.settle(20);
    pair.second.talks[0].close();
    REQUIRE(pair.world.until([&] { return asked.payload == "so"; }));
    pair.first.talks[0].say("rry");
    CHECK(asked.end() == "connected connected 500 length 5 end");
    CHECK(asked.payload == "sorry");
}

TEST_CASE("a held answer is passed on when the time of the whole is over", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    asked.terms.timeout = 300ms;
    pair.begin(asked);
    SECTION("if it is whole") {
        pair.first.talks[0].say(sorry);
        CHECK(asked.end() == "connected connected 500 length 5 end");
    }
    SECTION("else it is cut") {
        pair.first.talks[0].say(sorry.substr(0, sorry.size() - 1));
        CHECK(asked.end() == "connected connected 500 length 5 failed 504");
    }
    CHECK(pair.loses(pair.second));
    CHECK(pair.use().hedging.get() == 0);
}

TEST_CASE("statuses of retry_statuses wait for a better answer too", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    asked.terms.retry_statuses = {404};
    pair.begin(asked);
    pair.first.talks[0].say("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n");
    pair.world.settle(20);
    pair.second.talks[0].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
    pair.check_neutral();
}

TEST_CASE("heads that come byte by byte from both are not mixed", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    pair.begin(asked);
    const std::string one = "HTTP/1.1 200 OK\r\nServer: one\r\nContent-Length: 3\r\n\r\n1st";
    const std::string two = "HTTP/1.1 200 OK\r\nServer: two\r\nX: y\r\nContent-Length: 3\r\n\r\n2nd";
    const bool first_wins = GENERATE(true, false);
    const std::size_t some = 40;  // of each head
    for (std::size_t i = 0; i < some; ++i) {
        pair.first.talks[0].say({&one[i], 1});
        pair.world.settle(1);
        pair.second.talks[0].say({&two[i], 1});
        pair.world.settle(1);
    }
    if (first_wins) {
        pair.first.talks[0].say(one.substr(some));
    } else {
        pair.second.talks[0].say(two.substr(some));
    }
    CHECK(asked.end() == "connected connected 200 length 3 end");
    CHECK(asked.server == (first_wins ? "one" : "two"));
    CHECK(asked.payload == (first_wins ? "1st" : "2nd"));
}

TEST_CASE("both copies are late by read_timeout", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    asked.terms.read_timeout = 300ms;
    asked.terms.retries = 0;
    pair.begin(asked);
    CHECK(asked.end() == "connected connected failed 504");
    CHECK(pair.world.failures(0, CallFailure::read_timeout) == 1);
    CHECK(pair.world.failures(1, CallFailure::read_timeout) == 1);
    CHECK(pair.use().hedging.get() == 0);
}

TEST_CASE("a client that leaves ends both copies", "[call][hedging]") {
    Pair pair;
    Asked asked(pair.world);
    pair.begin(asked);
    asked.call.cancel();
    CHECK(pair.loses(pair.first));
    CHECK(pair.loses(pair.second));
    pair.check_neutral();
    pair.world.settle(50);
    CHECK(asked.events == "connected connected");
}

TEST_CASE("a call that is over before the delay is not hedged later", "[call][hedging]") {
    Pair pair([](conf::Upstream& upstream) { upstream.hedge.delay_min = upstream.hedge.delay_max = 300ms; });
    Asked asked(pair.world);
    asked.begin();
    REQUIRE(pair.hears(pair.first));
    SECTION("answered") {
        pair.first.talks[0].say(answer);
        CHECK(asked.end() == "connected 200 length 3 end");
    }
    SECTION("cancelled") { asked.call.cancel(); }
    pair.world.let_pass(500);
    CHECK(pair.use().hedges.get() == 0);
    CHECK(pair.use().hedges_refused.get() == 0);
    CHECK(pair.second.talks.empty());
}

TEST_CASE("copies end at the budget, and at hedge_max", "[call][hedging]") {
    std::uint32_t expected = 0;
    conf::Hedge hedge{.on = true, .delay_min = 1ms, .delay_max = 1ms};
    SECTION("budget") {
        hedge.budget = 5;
        expected = 3;  // one at first, and one for each twenty calls
    }
    SECTION("hedge_max") {
        hedge.budget = 100;
        hedge.max = 7;
        expected = 7;
    }
    Pair pair([&](conf::Upstream& upstream) { upstream.hedge = hedge; });
    std::deque<Asked> calls;
    for (int i = 0; i < 40; ++i) calls.emplace_back(pair.world).begin();
    REQUIRE(pair.world.until(
        [&] { return pair.use().hedges.get() + pair.use().hedges_refused.get() == calls.size(); }));
    CHECK(pair.use().hedges.get() == expected);
    CHECK(pair.world.peer(1).use->calls.get() == expected);
    for (Asked& asked : calls) asked.call.cancel();
    pair.check_neutral();
}

TEST_CASE("a peer that is ejected or full gets no copy", "[call][hedging]") {
    Pair pair([](conf::Upstream& upstream) { upstream.peers[1].max_conns = 1; });
    Asked other(pair.world);
    SECTION("ejected") { pair.world.peer(1).cell->ejected_until_ms.store(~std::uint64_t{0}); }
    SECTION("full") { pair.world.peer(1).use->active.set(1); }
    Asked asked(pair.world);
    asked.begin();
    REQUIRE(pair.hears(pair.first));
    pair.world.let_pass(200);
    CHECK(pair.use().hedges.get() == 0);
    CHECK(pair.second.talks.empty());
    pair.first.talks[0].say(answer);
    CHECK(asked.end() == "connected 200 length 3 end");
    pair.world.peer(1).use->active.set(0);
}

TEST_CASE("answers teach the delay, and copies that lost do not", "[call][hedging]") {
    Pair pair([](conf::Upstream& upstream) {
        upstream.hedge.delay_min = 1ms;
        upstream.hedge.delay_max = 5000ms;
    });
    for (std::size_t i = 0; i < 25; ++i) {
        Asked asked(pair.world);
        asked.begin();
        REQUIRE(pair.hears(pair.first));
        pair.first.talks[0].heard.clear();
        pair.first.talks[0].say(answer);
        CHECK(asked.end().ends_with("200 length 3 end"));
    }
    CHECK(pair.world.upstream().hedging()->delay_us() < 5'000'000);
}

TEST_CASE("where hedging is off or has nowhere to go, there is none", "[call][hedging]") {
    Backend one, two;
    CHECK(World({&one, &two}).upstream().hedging() == nullptr);
    CHECK(World({&one}, [](conf::Upstream& upstream) { upstream.hedge.on = true; }).upstream().hedging() ==
          nullptr);
}

TEST_CASE("a body that is here is copied up to 64 KiB", "[call][hedging]") {
    Pair pair;
    const std::string body(64 * 1024 + 1, 'x');
    const auto ask = [&](Asked& asked, std::size_t size) {
        const std::vector<worker::connection::Chunk> whole{{{}, body.data(), -1, 0, size}};
        asked.question.whole = whole;
        asked.begin();
        REQUIRE(pair.hears(pair.first, 0, "xxx"));
        pair.world.let_pass(100);
        const std::size_t asked_too = pair.second.talks.size();
        asked.call.cancel();
        return asked_too;
    };
    Asked large(pair.world), small(pair.world);
    CHECK(ask(large, body.size()) == 0);
    CHECK(ask(small, body.size() - 1) == 1);
}
