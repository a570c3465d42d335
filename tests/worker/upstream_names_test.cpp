// tests/worker/upstream_names_test.cpp: calls to peers that are names, while their addresses come and go.
// Peers are the test's, and so is what the sentinel would write.
#include "tests/worker/upstream_world.h"

namespace {

using std::chrono_literals::operator""ms;

const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
const std::string name_of_all = "app.example:1";

/// One name with that many places. A copy of a call is sent after 20 ms.
struct Named {
    using Places = std::vector<ipc::NameAddress>;

    explicit Named(std::uint32_t places, const std::function<Places(Named&)>& before,
                   const World::Change& change = {})
        : world(
              {&first, &second},
              [&](conf::Upstream& upstream) {
                  conf::UpstreamPeer peer;
                  peer.name = "app.example";
                  peer.address.port = 1;
                  peer.peers_max = places;
                  upstream.peers = {peer};
                  upstream.hedge = {.on = true, .delay_min = 20ms, .delay_max = 20ms, .budget = 100};
                  upstream.sticky.cookie = "route";
                  if (change) change(upstream);
                  REQUIRE(peer.text() == name_of_all);
                  board->add_places("u", name_of_all, places);
                  cell().write(before(*this));
              },
              &*board, row) {}

    [[nodiscard]] ipc::NameCell& cell() { return board->name_cell(name); }
    /// The address of that peer; it is asked when no other can be, if it is a backup.
    [[nodiscard]] static ipc::NameAddress at(const Backend& backend, std::uint8_t backup = 0) {
        return {.bytes = {127, 0, 0, 1}, .port = backend.config.address.port, .family = 4, .backup = backup};
    }
    /// Whatever the loop does by itself, it knows these now.
    void follow(const Places& places) {
        cell().write(places);
        static_cast<void>(world.upstream().bound(""));
    }
    bool hears(Backend& backend, std::size_t talk = 0, std::string_view text = "\r\n\r\n") {
        return world.until([&, talk, text] {
            return backend.talks.size() > talk && backend.talks[talk].heard.find(text) != std::string::npos;
        });
    }
    [[nodiscard]] std::string cookie(std::size_t place) {
        const std::string field(world.upstream().sticky()->field(world.peer(place)));
        return field.empty() ? field : field.substr(12, field.find(';') - 12);
    }
    [[nodiscard]] bool ejected(std::size_t place) {
        return world.peer(place).ejected(world.loop.clock().now_ms());
    }
    [[nodiscard]] const ipc::UpstreamUse& use() { return row->upstreams[index]; }

    ipc::Result<ipc::Scoreboard> board = ipc::Scoreboard::make();
    std::uint32_t index = board->add_upstream("u");
    std::uint32_t name = board->add_name("u", name_of_all);
    ipc::WorkerCell* row = &board->row(*board->take(1));
    Backend first, second, third;
    World world;
};

const ipc::NameAddress none;

}  // namespace

TEST_CASE("a place where nobody stands takes no call", "[call][dns]") {
    Named named(2, [](Named&) { return Named::Places{}; });
    CHECK_FALSE(named.world.upstream().takes(named.world.peer(0)));
    Asked asked(named.world);
    asked.question.bound = &named.world.peer(0);
    CHECK(asked.begin().end() == "failed 502");
    CHECK(asked.reason == "no address of the upstream is known");
    named.follow({Named::at(named.first)});
    CHECK(named.world.upstream().takes(named.world.peer(0)));
    CHECK_FALSE(named.world.upstream().takes(named.world.peer(1)));
}

TEST_CASE("a copy whose peer goes meanwhile is answered, and its connection is not kept",
          "[call][dns][hedging]") {
    Named named(2, [](Named& n) { return Named::Places{Named::at(n.first), Named::at(n.second, 1)}; });
    Asked asked(named.world);
    asked.begin();
    REQUIRE(named.hears(named.first));
    REQUIRE(named.hears(named.second));
    SECTION("nobody comes") { named.follow({Named::at(named.first), none}); }
    SECTION("another one comes") { named.follow({Named::at(named.first), Named::at(named.third)}); }
    SECTION("both go") { named.follow({}); }
    CHECK(named.use().hedging.get() == 1);
    named.second.talks[0].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
    CHECK(named.world.until([&] { return named.first.talks[0].ended && named.second.talks[0].ended; }));
    CHECK(named.use().hedging.get() == 0);
    CHECK(named.use().hedges_won.get() == 1);
}

TEST_CASE("who was asked is named after another one came into the place", "[call][dns]") {
    Named named(
        1, [](Named& n) { return Named::Places{Named::at(n.first)}; },
        [](conf::Upstream& upstream) { upstream.hedge.on = false; });
    Asked asked(named.world);
    asked.begin();
    REQUIRE(named.hears(named.first));
    const worker::http::Tries tries = asked.call.tries();  // as the log keeps them
    named.follow({Named::at(named.second)});
    named.follow({Named::at(named.third)});
    CHECK(asked.call.asked_now() == named.first.name());
    named.first.talks[0].say(answer);
    CHECK(asked.end() == "connected 200 length 3 end");
    REQUIRE(tries.size() == 1);
    CHECK(tries[0].peer == named.first.name());
}

TEST_CASE("a copy that fails is held against its own peer, as it was when it was asked",
          "[call][dns][hedging]") {
    // The first place has had another address before: peers differ in how often they were somebody else.
    Named named(
        2,
        [](Named& n) {
            return Named::Places{Named::at(n.third), Named::at(n.second, 1)};
        },
        [](conf::Upstream& upstream) { upstream.eject_failures = 1; });
    named.follow({Named::at(named.first), Named::at(named.second, 1)});
    Asked asked(named.world);
    asked.begin();
    REQUIRE(named.hears(named.first));
    REQUIRE(named.hears(named.second));
    Backend* last = &named.first;
    SECTION("the first one") {
        last = &named.second;
        named.first.talks[0].reset();
        REQUIRE(named.world.until([&] { return named.world.all_failures(0) == 1; }));
        CHECK(named.ejected(0));
        CHECK_FALSE(named.ejected(1));
    }
    SECTION("the second one") {
        named.second.talks[0].reset();
        REQUIRE(named.world.until([&] { return named.world.all_failures(1) == 1; }));
        CHECK(named.ejected(1));
        CHECK_FALSE(named.ejected(0));
    }
    SECTION("the second one, which another one has replaced") {
        named.follow({Named::at(named.first), Named::at(named.third)});
        named.second.talks[0].reset();
        REQUIRE(named.world.until([&] { return named.world.all_failures(1) == 1; }));
        CHECK_FALSE(named.ejected(1));
        CHECK_FALSE(named.ejected(0));
    }
    last->talks[0].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
    CHECK(named.use().hedging.get() == 0);
}

TEST_CASE("the first of two copies fails when its peer has gone, and the other one answers",
          "[call][dns][hedging]") {
    Named named(
        2,
        [](Named& n) {
            return Named::Places{Named::at(n.first), Named::at(n.second, 1)};
        },
        [](conf::Upstream& upstream) { upstream.eject_failures = 1; });
    Asked asked(named.world);
    asked.begin();
    REQUIRE(named.hears(named.first));
    REQUIRE(named.hears(named.second));
    named.follow({Named::at(named.third), Named::at(named.second, 1)});
    named.first.talks[0].reset();
    REQUIRE(named.world.until([&] { return named.world.all_failures(0) == 1; }));
    CHECK_FALSE(named.ejected(0));
    named.second.talks[0].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
}

TEST_CASE("a copy goes to who is known when the call is late", "[call][dns][hedging]") {
    Named named(1, [](Named& n) { return Named::Places{Named::at(n.first)}; });
    Asked asked(named.world);
    asked.begin();
    SECTION("nobody else: there is none, and the budget stays") {
        REQUIRE(named.hears(named.first));
        named.world.let_pass(200);
        CHECK(named.use().hedges.get() == 0);
        CHECK(named.use().hedges_refused.get() == 0);
        named.first.talks[0].say(answer);
        CHECK(asked.end() == "connected 200 length 3 end");
    }
    SECTION("another one in the same place") {
        named.cell().write(Named::Places{Named::at(named.second)});
        REQUIRE(named.hears(named.second));
        CHECK(named.hears(named.first));
        CHECK(asked.call.asked() == named.first.name() + ", " + named.second.name());
        named.second.talks[0].say(answer);
        CHECK(asked.end() == "connected connected 200 length 3 end");
        CHECK(named.world.until([&] { return named.first.talks[0].ended; }));
        CHECK_FALSE(asked.call.peer_left());
        CHECK_FALSE(named.second.talks[0].ended);
    }
}

TEST_CASE("after a failure who came into the peer's place is asked", "[call][dns]") {
    Named named(
        1, [](Named& n) { return Named::Places{Named::at(n.first)}; },
        [](conf::Upstream& upstream) { upstream.hedge.on = false; });
    Asked asked(named.world);
    asked.begin();
    REQUIRE(named.hears(named.first));
    named.follow({Named::at(named.second)});
    named.first.talks[0].reset();
    REQUIRE(named.hears(named.second));
    named.second.talks[0].say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
}

TEST_CASE("a kept connection that ends with its address costs nothing: who is there now is asked",
          "[call][dns]") {
    Named named(
        1, [](Named& n) { return Named::Places{Named::at(n.first)}; },
        [](conf::Upstream& upstream) { upstream.hedge.on = false; });
    Asked asked(named.world);
    asked.terms.retries = 0;
    asked.begin();
    REQUIRE(named.hears(named.first));
    named.first.talks[0].say(answer);
    CHECK(asked.end() == "connected 200 length 3 end");
    named.first.talks[0].heard.clear();
    asked.begin();
    REQUIRE(named.hears(named.first));
    SECTION("somebody") {
        named.follow({Named::at(named.second)});
        named.first.talks[0].close();
        REQUIRE(named.hears(named.second));
        named.second.talks[0].say(answer);
        CHECK(asked.end() == "connected connected 200 length 3 end");
        CHECK(asked.call.asked() == named.first.name() + ", " + named.second.name());
    }
    SECTION("nobody") {
        named.follow({});
        named.first.talks[0].close();
        CHECK(asked.end() == "connected failed 502");
    }
    CHECK(named.world.all_failures(0) == 0);
    CHECK(named.first.talks.size() == 1);
}

TEST_CASE("a cookie means an address of a name for as long as the name has it", "[call][dns][sticky]") {
    Named named(2, [](Named& n) { return Named::Places{Named::at(n.first), Named::at(n.second)}; });
    const std::string first = named.cookie(0), second = named.cookie(1);
    auto& upstream = named.world.upstream();
    CHECK(first != second);
    CHECK(upstream.bound(first) == &named.world.peer(0));
    named.cell().write(Named::Places{Named::at(named.third), Named::at(named.second)});
    CHECK(upstream.bound(first) == nullptr);  // at once, whatever was looked at before
    CHECK(upstream.bound(second) == &named.world.peer(1));
    CHECK(named.cookie(0) != first);
    named.cell().write(Named::Places{Named::at(named.third), Named::at(named.first)});
    CHECK(upstream.bound(first) == &named.world.peer(1));
    CHECK(upstream.bound(second) == nullptr);
    named.follow({Named::at(named.third)});
    CHECK(named.cookie(1).empty());
    CHECK(upstream.bound("route=") == nullptr);
}

TEST_CASE("a call that is bound to an address that goes is answered by it, and says so",
          "[call][dns][sticky]") {
    Named named(2, [](Named& n) { return Named::Places{Named::at(n.first), Named::at(n.second)}; });
    Asked asked(named.world);
    asked.question.bound = named.world.upstream().bound(named.cookie(1));
    REQUIRE(asked.question.bound == &named.world.peer(1));
    asked.begin();
    REQUIRE(named.hears(named.second));
    CHECK_FALSE(asked.call.peer_left());
    SECTION("nobody comes") { named.follow({Named::at(named.first)}); }
    SECTION("another one comes") { named.follow({Named::at(named.first), Named::at(named.third)}); }
    bool left = false;
    asked.on_event = [&](const std::string& event) {
        if (event.starts_with("200")) left = asked.call.peer_left();
    };
    named.second.talks[0].say(answer);
    CHECK(asked.end() == "connected 200 length 3 end");
    CHECK(left);
    CHECK(named.world.until([&] { return named.second.talks[0].ended; }));
}
