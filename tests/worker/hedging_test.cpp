#include "worker/upstream/hedging.h"

#include <deque>

#include "ipc/scoreboard.h"

namespace {

using std::chrono_literals::operator""ms;
using worker::upstream::Hedging;
using worker::upstream::LatencyQuantile;

/// What a loop has for one upstream.
struct Desk {
    explicit Desk(const conf::Hedge& with) : config(with) {}

    conf::Hedge config;
    ipc::LoopCell cell;
    worker::execution::Loop loop{cell, 60'000ms};
    ipc::UpstreamUse use;
    std::uint64_t elsewhere = 0;
    Hedging hedging{config, loop, use, [this] { return elsewhere; }};
};

/// Remembers in which order it was told.
struct Waiting final : worker::upstream::Hedged {
    Waiting(std::vector<int>& into, int number) : told(into), me(number) {}
    void on_late() noexcept override {
        told.push_back(me);
        if (then) then();
    }
    std::vector<int>& told;
    int me;
    std::function<void()> then;
};

}  // namespace

TEST_CASE("a latency quantile says what at most five of a hundred exceed", "[hedging]") {
    LatencyQuantile times;
    SECTION("nothing while it knows few") {
        for (std::uint32_t i = 1; i < LatencyQuantile::samples_min; ++i) times.add(1000);
        CHECK(times.p95_us() == 0);
        times.add(1000);
        CHECK(times.p95_us() > 0);
    }
    SECTION("never too short, and at most an eighth too long") {
        for (const std::uint64_t us : {1u, 64u, 65u, 127u, 1000u, 4095u, 4096u, 100'000u, 59'999'999u}) {
            CAPTURE(us);
            LatencyQuantile same;
            for (int i = 0; i < 20; ++i) same.add(us);
            CHECK(same.p95_us() > us);
            CHECK(same.p95_us() <= std::max<std::uint64_t>(us, 64) * 9 / 8 + 1);
        }
    }
    SECTION("four slow ones of a hundred do not count, six do") {
        for (int i = 0; i < 400; ++i) times.add(i % 25 == 0 ? 500'000 : 2000);
        CHECK(times.p95_us() < 3000);
        LatencyQuantile more;
        for (int i = 0; i < 400; ++i) more.add(i % 16 == 0 ? 500'000 : 2000);
        CHECK(more.p95_us() > 500'000);
    }
    SECTION("what was long ago is forgotten") {
        for (int i = 0; i < 10'000; ++i) times.add(300'000);
        for (std::uint32_t i = 0; i < 8 * LatencyQuantile::decay_samples; ++i) times.add(1000);
        CHECK(times.p95_us() < 1200);
    }
    SECTION("years are in the last bucket") {
        for (int i = 0; i < 20; ++i) times.add(~std::uint64_t{0});
        CHECK(times.p95_us() > 600'000'000);
    }
}

TEST_CASE("the delay of a copy is the p95 of answers within its bounds", "[hedging]") {
    const auto delay_after = [](std::uint64_t us) {
        Desk desk({.on = true, .delay_min = 10ms, .delay_max = 100ms});
        for (int i = 0; i < 40; ++i) desk.hedging.answered(us);
        return desk.hedging.delay_us();
    };
    CHECK(delay_after(1000) == 10'000);
    CHECK(delay_after(40'000) > 40'000);
    CHECK(delay_after(40'000) <= 45'000);
    CHECK(delay_after(2'000'000) == 100'000);
    Desk unknown({.on = true, .delay_min = 10ms, .delay_max = 100ms});
    CHECK(unknown.hedging.delay_us() == 100'000);
}

TEST_CASE("copies are a share of the calls", "[hedging]") {
    for (const std::uint32_t budget : {1u, 5u, 7u, 100u}) {
        CAPTURE(budget);
        Desk desk({.on = true, .budget = budget});
        std::uint64_t copies = 0;
        for (int call = 0; call < 1000; ++call) {
            desk.hedging.count_call();
            if (!desk.hedging.begin()) continue;
            ++copies;
            desk.hedging.end();
        }
        CHECK(copies <= budget * 10 + 1);
        CHECK(copies >= budget * 10);
        CHECK(desk.use.hedges.get() == copies);
        CHECK(desk.use.hedges_refused.get() == 1000 - copies);
        CHECK(desk.use.hedging.get() == 0);
    }
    SECTION("of which ten are saved up") {
        Desk desk({.on = true, .budget = 5});
        for (int call = 0; call < 10'000; ++call) desk.hedging.count_call();
        int copies = 0;
        while (copies < 100 && desk.hedging.begin()) ++copies;
        CHECK(copies == 10);
    }
}

TEST_CASE("so many copies are under way at once, over all workers", "[hedging]") {
    Desk desk({.on = true, .budget = 100, .max = 3});
    for (int call = 0; call < 10; ++call) desk.hedging.count_call();
    desk.elsewhere = 1;
    CHECK(desk.hedging.begin());
    CHECK(desk.hedging.begin());
    CHECK_FALSE(desk.hedging.begin());
    CHECK(desk.use.hedging.get() == 2);
    desk.hedging.end();
    CHECK(desk.hedging.begin());
    desk.elsewhere = 0;
    CHECK(desk.hedging.begin());
}

TEST_CASE("calls are told in the order in which they are late", "[hedging]") {
    Desk desk({.on = true, .delay_min = 5ms, .delay_max = 400ms});
    std::vector<int> told;
    std::deque<Waiting> calls;
    for (int i = 0; i < 5; ++i) calls.emplace_back(told, i);
    desk.hedging.watch(calls[0]);  // in 400 ms
    desk.hedging.watch(calls[1]);
    for (int i = 0; i < 40; ++i) desk.hedging.answered(1000);
    desk.hedging.watch(calls[2]);  // in 5 ms
    desk.hedging.watch(calls[3]);
    desk.hedging.watch(calls[4]);
    calls[3].leave();
    std::uint64_t second_us = 0;
    calls[2].then = [&] {
        second_us = desk.loop.clock().now_us();
        calls[4].leave();
    };
    calls[1].then = [&] { desk.loop.stop(); };
    const std::uint64_t begun = desk.loop.clock().now_us();
    desk.loop.run();
    CHECK(told == std::vector{2, 0, 1});
    CHECK(second_us - begun >= 5'000);
    CHECK(second_us - begun < 400'000);
    CHECK(desk.loop.clock().now_us() - begun > 400'000 - 5'000);
}

TEST_CASE("a call that waits again is told once, counted from then", "[hedging]") {
    Desk desk({.on = true, .delay_min = 5ms, .delay_max = 5ms});
    std::vector<int> told;
    Waiting one(told, 1), other(told, 2);
    desk.hedging.watch(one);
    desk.hedging.watch(other);
    desk.hedging.watch(one);
    one.then = [&] { desk.loop.stop(); };
    desk.loop.run();
    CHECK(told == std::vector{2, 1});
}

TEST_CASE("what a dead worker had under way is forgotten, and what it counted is not", "[hedging]") {
    auto board = ipc::Scoreboard::make();
    REQUIRE(board);
    const auto index = board->add_upstream("u");
    const auto row = board->take(1);
    REQUIRE(row);
    ipc::UpstreamUse& use = board->row(*row).upstreams[index];
    use.hedging.set(3);
    use.hedges.add(5);
    board->end_calls(*row);
    CHECK(use.hedging.get() == 0);
    CHECK(use.hedges.get() == 5);
}
