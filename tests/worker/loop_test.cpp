// tests/worker/loop_test.cpp: turns are measured, and those that took long are told, with who held them up.
#include "worker/execution/loop.h"

#include <event2/event_struct.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "tests/worker/turn.h"

namespace {

using namespace std::chrono_literals;
using worker::execution::Loop;
using worker::execution::Stopwatch;

void burn(std::uint64_t us) {
    const auto begun = ipc::monotonic_us();
    while (ipc::monotonic_us() - begun < us) continue;
}

void run_request(Loop& loop, std::uint64_t us, const char* route, const char* target) {
    const Stopwatch stopwatch;
    burn(us);
    loop.ran(stopwatch.ticks(), route, "GET", target);
}

}  // namespace

TEST_CASE("a turn that takes long is told with the request that held it up most", "[worker]") {
    const Logged logged;
    ipc::LoopCell cell;
    Loop loop(cell, 20ms);
    Turn(loop, [&] {
        run_request(loop, 2'000, "quick", "/a");
        run_request(loop, 30'000, "slow", "/b?c");
        run_request(loop, 2'000, "other", "/d");
    });
    CHECK(cell.slow_turns.get() == 1);
    CHECK(logged.text().find("route=\"slow\" request=\"GET /b?c\"") != std::string::npos);
}

TEST_CASE("slow turns right behind each other are counted, and told once", "[worker]") {
    const Logged logged;
    ipc::LoopCell cell;
    Loop loop(cell, 1ms);
    for (int count = 0; count < 5; ++count) Turn(loop, [&] { run_request(loop, 3'000, "slow", "/"); });
    CHECK(cell.slow_turns.get() == 5);
    const auto text = logged.text();
    CHECK(text.find("loop was blocked") == text.rfind("loop was blocked"));
}

TEST_CASE("a turn that no request held up is blamed on none, least of all on one that waits", "[worker]") {
    const Logged logged;
    ipc::LoopCell cell;
    Loop loop(cell, 10ms);
    cell.in_flight.begin("POST /upload");
    Turn(loop, [] { burn(20'000); });
    CHECK(logged.text().find(R"(route="" request="")") != std::string::npos);
}

TEST_CASE("a turn that nothing held up long is only measured", "[worker]") {
    const Logged logged;
    ipc::LoopCell cell;
    Loop loop(cell, 10s);
    Turn(loop, [&] { run_request(loop, 5'000, "fine", "/"); });
    CHECK(cell.slow_turns.get() == 0);
    CHECK(logged.text().empty());
    std::uint64_t turns = 0;
    for (std::size_t bucket = 0; bucket < ipc::Histogram::buckets; ++bucket)
        turns += cell.turns.count(bucket);
    CHECK(turns == 1);
    CHECK(cell.turns.sum_us() >= 5'000);
}

TEST_CASE("time that a request took in its turn shows on the clock of the rest", "[worker]") {
    ipc::LoopCell cell;
    Loop loop(cell, 10s);
    std::uint64_t before = 0, after = 0;
    Turn(loop, [&] {
        before = loop.clock().now_us();
        run_request(loop, 5'000, "fine", "/");
        after = loop.clock().now_us();
    });
    CHECK(after - before >= 5'000);
}

namespace {

/// Asks for another turn each time, and counts.
struct Restless {
    explicit Restless(Loop& on) : loop(on) {
        event_assign(&registered, &loop.base(), -1, 0, &Restless::on_event, this);
    }
    ~Restless() {
        loop.forget(registered);
        event_del(&registered);
    }
    static void on_event(evutil_socket_t, short what, void* self) noexcept {
        auto& restless = *static_cast<Restless*>(self);
        restless.loop.enter();
        ++restless.times;
        CHECK((what & EV_TIMEOUT) != 0);
        restless.loop.next_turn(restless.registered);
    }
    Loop& loop;
    event registered{};
    int times = 0;
};

}  // namespace

TEST_CASE("whoever goes on in the next turn lets all others have theirs first", "[loop]") {
    ipc::LoopCell cell;
    Loop loop(cell);
    Restless restless(loop);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const ipc::UniqueFd reading(ends[0]), writing(ends[1]);
    struct Other {
        void on_readable(short) {
            loop.enter();
            seen = restless.times;
            loop.stop();
        }
        Loop& loop;
        Restless& restless;
        int seen = -1;
    } other{loop, restless};
    auto readable = ipc::Event::calling<&Other::on_readable>(&other, loop.base(), reading.get(), EV_READ);
    readable.arm();
    loop.next_turn(restless.registered);
    loop.after_turn([&] { CHECK(::write(writing.get(), "x", 1) == 1); });
    loop.run();
    CHECK(other.seen >= 0);
    CHECK(other.seen <= 2);
}
