// tests/worker/upstream_concurrency_test.cpp: which calls count in an upstream's limit of concurrency, and
// which answers say how long it takes. Peers are the test's.
#include "tests/worker/upstream_world.h"

namespace {

using std::chrono_literals::operator""ms;

const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

/// One peer behind a limit of two, and another worker's row beside our own.
struct Limited {
    explicit Limited(const World::Change& change = {})
        : world(
              {&backend, &spare},
              [&](conf::Upstream& upstream) {
                  upstream.peers[1].backup = true;
                  upstream.concurrency = {.adaptive = true, .min = 1, .max = 2};
                  if (change) change(upstream);
              },
              &*board, row) {}

    /// The connection on which the peer hears this, once it has; it hears it once.
    Conversation& heard(Backend& by, std::string_view text = "\r\n\r\n") {
        Conversation* found = nullptr;
        REQUIRE(world.until([&] {
            for (Conversation& talk : by.talks)
                if (!talk.ended && talk.heard.find(text) != std::string::npos) found = &talk;
            return found != nullptr;
        }));
        found->heard.clear();
        return *found;
    }
    Conversation& heard() { return heard(backend); }
    [[nodiscard]] std::uint64_t waiting() const { return row->upstreams[index].waiting.get(); }
    [[nodiscard]] bool admits() { return world.upstream().admit().admitted(); }
    [[nodiscard]] const ipc::ConcurrencyCell& cell() const { return board->upstream_cell(index).concurrency; }

    ipc::Result<ipc::Scoreboard> board = ipc::Scoreboard::make();
    std::uint32_t index = board->add_upstream("u");
    std::uint32_t other_index = *board->take(1);
    ipc::WorkerCell* other = &board->row(other_index);
    ipc::WorkerCell* row = &board->row(*board->take(1));
    Backend backend, spare;
    World world;
};

}  // namespace

TEST_CASE("a call counts until the head of its answer, and however it ends", "[call][concurrency]") {
    Limited limited;
    Asked asked(limited.world);
    asked.terms.retries = 0;
    CHECK(limited.waiting() == 0);
    SECTION("answered") {
        asked.begin();
        CHECK(limited.waiting() == 1);
        Conversation& talk = limited.heard();
        talk.say("HTTP/1.1 103 Early Hints\r\n\r\n");
        CHECK(limited.world.until([&] { return asked.events == "connected 103"; }));
        CHECK(limited.waiting() == 1);
        talk.say(answer.substr(0, answer.size() - 1));
        CHECK(limited.world.until([&] { return asked.status == 200; }));
        CHECK(limited.waiting() == 0);  // whoever takes the body slowly keeps nobody out
        talk.say(answer.substr(answer.size() - 1));
        asked.end();
    }
    SECTION("as a tunnel") {
        asked.question.head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        asked.question.upgrade = true;
        asked.begin();
        Conversation& talk = limited.heard();
        talk.say("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        CHECK(limited.world.until([&] { return asked.status == 101; }));
        CHECK(limited.waiting() == 0);
        talk.close();
        asked.end();
    }
    SECTION("refused by its peer") {
        limited.backend.leave();
        CHECK(asked.begin().end() == "failed 502");
    }
    SECTION("cut off") {
        asked.begin();
        limited.heard().reset();
        CHECK(asked.end() == "connected failed 502");
    }
    SECTION("cancelled") {
        asked.begin();
        (void)limited.heard();
        asked.call.cancel();
    }
    CHECK(limited.waiting() == 0);
}

TEST_CASE("a call that asks another peer keeps its one place", "[call][concurrency]") {
    Limited limited;
    Asked asked(limited.world);
    asked.begin();
    limited.heard().reset();
    Conversation& second = limited.heard(limited.spare);
    CHECK(limited.waiting() == 1);
    second.say(answer);
    CHECK(asked.end() == "connected connected 200 length 3 end");
    CHECK(limited.waiting() == 0);
}

TEST_CASE("calls beyond the limit are refused, those of other workers count", "[call][concurrency]") {
    Limited limited([](conf::Upstream& upstream) { upstream.breaker.failures = 1; });
    ipc::UpstreamUse& use = limited.row->upstreams[limited.index];
    CHECK(limited.admits());
    limited.other->upstreams[limited.index].waiting.set(1);
    CHECK(limited.admits());
    limited.other->upstreams[limited.index].waiting.set(2);
    const auto refused = limited.world.upstream().admit();
    CHECK(refused.refusal == "the upstream is busy");
    CHECK(refused.retry_after_seconds == 1);
    CHECK(use.shed.get() == 1);
    SECTION("which is no failure of the upstream's") {
        const auto breaker = limited.board->upstream_cell(limited.index).breaker.status(0);
        CHECK(breaker.state == ipc::BreakerState::closed);
        CHECK(limited.board->upstream_cell(limited.index).breaker.counts().refused.get() == 0);
    }
    SECTION("until that worker is dead") {
        limited.board->end_calls(limited.other_index);
        CHECK(limited.admits());
    }
}

TEST_CASE("a refusal takes no permit of a breaker that probes", "[call][concurrency][breaker]") {
    Limited limited([](conf::Upstream& upstream) {
        upstream.breaker.failures = 1;
        upstream.breaker.reset = 1ms;
    });
    auto& upstream = limited.world.upstream();
    upstream.record(upstream.admit().ticket, ipc::Outcome::failure);
    limited.world.let_pass(5);
    limited.other->upstreams[limited.index].waiting.set(2);
    CHECK(upstream.admit().refusal == "the upstream is busy");
    limited.other->upstreams[limited.index].waiting.set(0);
    const auto probe = upstream.admit();
    CHECK(probe.admitted());
    CHECK(upstream.admit().refusal == "the breaker is open");  // there is one permit
    upstream.record(probe.ticket, ipc::Outcome::success);
}

TEST_CASE("answers tell how long it takes; errors, and clients that leave or are slow, do not",
          "[call][concurrency]") {
    Limited limited([](conf::Upstream& upstream) { upstream.concurrency.max = 1000; });
    Asked asked(limited.world);
    asked.terms.retries = 0;
    const auto many_times = [&](const std::function<void()>& work) {
        for (std::uint32_t i = 0; i < 2 * ipc::ConcurrencyCell::samples_min; ++i) {
            work();
            limited.world.let_pass(1);
        }
    };
    SECTION("good answers") {
        many_times([&] {
            asked.begin();
            limited.heard().say(answer);
            asked.end();
        });
        CHECK(limited.cell().baseline_us() > 0);
        CHECK(limited.cell().latency_us() > 0);
    }
    SECTION("time-outs, as answers that came no earlier") {
        asked.terms.read_timeout = 5ms;
        many_times([&] { CHECK(asked.begin().end() == "connected failed 504"); });
        CHECK(limited.cell().baseline_us() >= 5000);
    }
    SECTION("errors") {
        many_times([&] {
            asked.begin();
            limited.heard().say("HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n");
            asked.end();
        });
        CHECK(limited.cell().baseline_us() == 0);
    }
    SECTION("clients that leave") {
        many_times([&] {
            asked.begin();
            (void)limited.heard();
            asked.call.cancel();
        });
        CHECK(limited.cell().baseline_us() == 0);
    }
    SECTION("clients whose body is not complete") {
        asked.put();
        many_times([&] {
            asked.begin();
            limited.heard().say(answer);
            asked.end();
        });
        CHECK(limited.cell().baseline_us() == 0);
    }
    SECTION("what a body takes to come is no part of it") {
        asked.put();
        many_times([&] {
            asked.begin();
            Conversation& talk = limited.heard();
            limited.world.let_pass(30);
            asked.call.end_body();
            CHECK(&limited.heard(limited.backend, "0\r\n\r\n") == &talk);
            talk.say(answer);
            asked.end();
        });
        CHECK(limited.cell().baseline_us() > 0);
        CHECK(limited.cell().baseline_us() < 25'000);
    }
    SECTION("what a peer takes to read a body that is here is no part of it") {
        asked.begin();
        limited.heard().say("HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n");  // tells nothing, and stays
        asked.end();
        REQUIRE(limited.backend.talks.size() == 1);
        Conversation& talk = limited.backend.talks[0];
        const std::string bytes(16 << 20, 'b');  // more than the kernel holds between two sockets
        const std::vector<worker::connection::Chunk> body{{{}, bytes.data(), -1, 0, bytes.size()}};
        asked.question.head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n";
        asked.question.whole = body;
        many_times([&] {
            talk.listens = false;
            asked.begin();
            limited.world.let_pass(30);
            talk.listens = true;
            REQUIRE(limited.world.until(
                [&] { return talk.heard.size() == asked.question.head.size() + bytes.size(); }));
            talk.heard.clear();
            talk.say(answer);
            asked.end();
        });
        CHECK(limited.cell().baseline_us() > 0);
        CHECK(limited.cell().baseline_us() < 25'000);
    }
}

TEST_CASE("what a worker that died in the seat had under way is forgotten", "[call][concurrency]") {
    const auto board = ipc::Scoreboard::make();
    auto& shared = const_cast<ipc::Scoreboard&>(*board);
    const auto index = shared.add_upstream("u");
    ipc::WorkerCell& row = shared.row(*shared.take(1));
    row.upstreams[index].waiting.set(7);
    Backend backend;
    World world(
        {&backend}, [](conf::Upstream& upstream) { upstream.concurrency.adaptive = true; }, &shared, &row);
    CHECK(row.upstreams[index].waiting.get() == 0);
    CHECK(shared.upstream_cell(index).concurrency.limit() == 20);
}
