#include "ipc/concurrency.h"

#include <cmath>
#include <new>
#include <random>
#include <thread>
#include <vector>

#include "tests/ipc/shared_pages.h"

namespace {

using ipc::after_window;
using ipc::ConcurrencyCell;
using ipc::ConcurrencyRules;
using ipc::ConcurrencyState;

/// A server that works on `places` requests at once, `alone_us` each; the others wait in its queue.
struct Origin {
    std::uint64_t alone_us = 10'000;
    double places = 30;

    [[nodiscard]] std::uint64_t latency_us(double calls) const {
        return static_cast<std::uint64_t>(static_cast<double>(alone_us) * std::max(1.0, calls / places));
    }
};

/// What clients want, and what the limit lets through.
struct World {
    ConcurrencyRules rules{};
    Origin origin{};
    ConcurrencyState state{};
    std::uint32_t least = ~0u, most = 0;  ///< limits of the last `run`

    [[nodiscard]] std::uint32_t limit() const { return ipc::limit_of(rules, state); }
    /// So many windows, while so many calls would be under way.
    void run(
        int windows, std::uint32_t wanted, const std::function<double()>& noise = [] { return 1.0; }) {
        least = ~0u, most = 0;
        for (int i = 0; i < windows; ++i) {
            const std::uint32_t calls = std::min(wanted, limit());
            const auto took = static_cast<double>(origin.latency_us(calls)) * noise();
            state =
                after_window(rules, state, {.latency_us = static_cast<std::uint64_t>(took), .peak = calls});
            if (!state.looking) least = std::min(least, limit());
            most = std::max(most, limit());
        }
    }
};

}  // namespace

TEST_CASE("a limit grows while answers are as quick, doubling at first", "[concurrency]") {
    World world{.rules = {.max = 100'000}, .origin = {.places = 1e9}};
    CHECK(world.limit() == 20);
    world.run(1, 10'000);
    CHECK(world.limit() == 10);  // for a look, once: all of it was used, and nothing was known
    world.run(1, 10'000);
    CHECK(world.limit() == 20);
    world.run(3, 10'000);
    CHECK(world.limit() == 160);
    world.run(8, 1'000'000);
    CHECK(world.limit() == 40'960);
    world.run(20, 1'000'000);
    CHECK(world.most == world.rules.max);
}

TEST_CASE("a limit of which less than half is used stays as it is", "[concurrency]") {
    World world{.origin = {.places = 1e9}};
    world.run(100, 9);
    CHECK(world.limit() == 20);
    world.run(100, 50);
    CHECK(world.limit() > 50);
    CHECK(world.limit() <= 200);
}

TEST_CASE("a limit falls when answers wait for each other, and keeps the server busy", "[concurrency]") {
    World world;
    world.run(10, 5);
    world.run(20, 1000);
    world.run(200, 1000);
    CHECK(world.least >= 30);  // what it can work on at once
    CHECK(world.most <= 60);   // no answer takes more than twice as long
    CHECK(world.state.baseline_us == 10'000);
}

TEST_CASE("a limit falls at once when answers begin to take twice as long", "[concurrency]") {
    World world;
    world.run(50, 1000);
    const auto before = world.limit();
    world.origin.places = 15;
    world.run(1, 1000);
    CHECK(world.limit() < before);
    world.run(30, 1000);
    world.run(100, 1000);
    CHECK(world.least >= 15);
    CHECK(world.most <= 30);
    SECTION("and rises again when they are as quick as before") {
        world.origin.places = 30;
        world.run(30, 1000);
        world.run(100, 1000);
        CHECK(world.least >= 30);
    }
}

TEST_CASE("an overload that lasts does not become normal", "[concurrency]") {
    World world;
    std::mt19937 random(7);
    std::normal_distribution<double> spread(1, 0.1);
    world.run(10, 5);
    world.run(20'000, 1000, [&] { return std::max(0.5, spread(random)); });
    world.run(200, 1000, [&] { return std::max(0.5, spread(random)); });
    CHECK(world.least >= 15);
    CHECK(world.most <= 75);
    CHECK(world.state.baseline_us < 13'000);
}

TEST_CASE("a server that is overloaded from the start is found out", "[concurrency]") {
    World world{.origin = {.places = 4}};
    world.run(100, 1000);
    CHECK(world.state.baseline_us <= 13'000);
    CHECK(world.limit() <= 10);
    CHECK(world.limit() >= 4);
}

TEST_CASE("a look goes on while half as many calls are answered quicker", "[concurrency]") {
    World world{.origin = {.places = 4}};
    world.state = {.limit = 32, .full = 7, .look_after = 8, .baseline_us = 80'000, .cut = true};
    std::vector<std::pair<std::uint32_t, std::uint64_t>> steps;
    for (int i = 0; i < 4; ++i) {
        world.run(1, 1000);
        steps.emplace_back(world.limit(), world.state.baseline_us);
    }
    CHECK(steps == std::vector<std::pair<std::uint32_t, std::uint64_t>>{
                       {16, 80'000}, {8, 40'000}, {4, 20'000}, {4, 10'000}});
    CHECK_FALSE(world.state.looking);
    CHECK(world.state.look_after == 0);
    SECTION("and a little quicker is no queue") {
        world.state = {.limit = 20, .from_us = 10'000, .baseline_us = 10'000, .cut = true, .looking = true};
        world.origin.alone_us = 8'000;
        world.origin.places = 1e9;
        world.run(1, 1000);
        CHECK(world.limit() == 40);
        CHECK(world.state.baseline_us == 10'000);
        CHECK(world.state.look_after == 8);
    }
    SECTION("and a quiet time puts the next one off") {
        world.state = {.limit = 40, .full = 3, .baseline_us = 10'000, .cut = true};
        world.run(1, 4);
        CHECK(world.state.full == 0);
    }
}

TEST_CASE("a queue is found though clients want hardly more than the limit", "[concurrency]") {
    World world{.origin = {.places = 4}};
    world.state = {.limit = 37, .baseline_us = 50'000, .cut = true};
    world.run(10, 32);
    CHECK(world.state.baseline_us <= 20'000);
}

TEST_CASE("looking for a queue is rare where there is none", "[concurrency]") {
    World world;
    world.run(300, 1000);
    int looks = 0;
    for (int i = 0; i < 1000; ++i) {
        world.run(1, 1000);
        looks += world.state.looking ? 1 : 0;
    }
    CHECK(looks > 0);
    CHECK(looks <= 17);
}

TEST_CASE("a server that is slower for good keeps its limit", "[concurrency]") {
    World world{.origin = {.places = 1e9}};
    SECTION("while little is asked of it, without refusing anything") {
        world.run(10, 8);
        world.origin.alone_us *= 4;
        world.run(40, 8);
        CHECK(world.least == 20);
        CHECK(world.state.baseline_us > 36'000);
    }
    SECTION("while much is") {
        world.run(10, 50);
        const auto before = world.limit();
        world.origin.alone_us *= 4;
        world.run(20, 1000);
        CHECK(world.least >= before / 4);
        CHECK(world.state.baseline_us > 26'000);
        world.run(50, 1000);
        CHECK(world.limit() > before);
    }
}

TEST_CASE("the baseline falls with the answers, but not with one window alone", "[concurrency]") {
    World world;
    world.run(10, 5);
    world.origin.alone_us = 2000;
    world.run(1, 5);
    CHECK(world.state.baseline_us == 6000);
    world.run(12, 5);
    CHECK(world.state.baseline_us == 2000);
}

TEST_CASE("while a limit falls, each half is compared with the one before", "[concurrency]") {
    const ConcurrencyRules rules;
    ConcurrencyState state{.limit = 100, .baseline_us = 10'000, .cut = true};
    const auto window = [&](std::uint64_t latency_us) {
        state = after_window(rules, state, {.latency_us = latency_us, .peak = ipc::limit_of(rules, state)});
        return state.limit;
    };
    CHECK(window(160'000) == 50);
    CHECK(window(80'000) == 25);  // a queue: half as long
    CHECK(window(70'000) == 50);  // what is left is none
    CHECK(state.baseline_us == 20'000);
}

TEST_CASE("a stall that nobody's calls are the reason of lets no more calls in", "[concurrency]") {
    World world{.origin = {.places = 200}};
    world.run(50, 150);
    const auto before = world.limit();
    world.origin.alone_us *= 500;
    world.run(10, 1000);
    CHECK(world.most <= before);
    CHECK(world.least >= world.rules.min);
    world.origin.alone_us /= 500;
    world.run(40, 1000);
    CHECK(world.limit() >= 150);
    CHECK(world.limit() <= 400);
    CHECK(world.state.baseline_us < 15'000);
}

TEST_CASE("at the least limit a baseline that is too short is given up", "[concurrency]") {
    World world{.origin = {.places = 1e9}};
    world.run(3, 1000);
    world.state.limit = world.rules.min;
    world.origin.alone_us *= 10;
    world.run(4, 1000);
    CHECK(world.state.baseline_us == 10'000);
    world.run(1, 1000);
    CHECK(world.state.baseline_us == 100'000);
    world.run(30, 1000);
    CHECK(world.limit() > 50);
}

TEST_CASE("a millisecond more is no queue", "[concurrency]") {
    World world{.origin = {.alone_us = 200, .places = 1e9}};
    world.run(3, 1000);
    world.origin.alone_us = 1100;
    const auto before = world.limit();
    world.run(1, 1000);
    CHECK(world.limit() > before);
}

TEST_CASE("a limit stays within its bounds, whatever answers take", "[concurrency]") {
    std::mt19937_64 random(3);
    for (const ConcurrencyRules rules :
         {ConcurrencyRules{.min = 1, .max = 1}, ConcurrencyRules{.min = 5, .max = 9},
          ConcurrencyRules{.min = 1, .max = 100'000, .tolerance_percent = 1000}}) {
        ConcurrencyState state;
        for (int i = 0; i < 20'000; ++i) {
            const auto limit = ipc::limit_of(rules, state);
            REQUIRE(limit >= rules.min);
            REQUIRE(limit <= rules.max);
            state = after_window(rules, state,
                                 {.latency_us = random() >> (random() % 40 + 24),
                                  .peak = static_cast<std::uint32_t>(random() % (limit + 3))});
        }
    }
}

namespace {

/// The cell, and the time.
struct Cell {
    ConcurrencyRules rules{};
    ConcurrencyCell cell{};
    std::uint64_t now_us = 1'000'000;

    explicit Cell(const ConcurrencyRules& with = {}) : rules(with) { cell.begin(rules); }
    /// So many answers, one each millisecond, to calls of which nearly as many were under way as may be.
    void answer(int count, std::uint64_t took_us) {
        for (int i = 0; i < count; ++i) {
            cell.see(cell.limit(rules) - 1);
            now_us += 1000;
            cell.add(rules, now_us - took_us, now_us);
        }
    }
};

}  // namespace

TEST_CASE("a window is over after enough answers and enough time", "[concurrency]") {
    Cell desk;
    CHECK(desk.cell.limit() == 20);
    CHECK(desk.cell.baseline_us() == 0);
    SECTION("not with fewer answers, however long it takes") {
        for (std::uint32_t i = 1; i < ConcurrencyCell::samples_min; ++i) {
            desk.now_us += 10'000'000;
            desk.answer(1, 10);
        }
        CHECK(desk.cell.baseline_us() == 0);
        desk.answer(1, 10);
        CHECK(desk.cell.baseline_us() == 10);
    }
    SECTION("not before two answers could have come") {
        desk.answer(30, 10);
        REQUIRE(desk.cell.baseline_us() == 10);
        desk.answer(200, 100'000);  // of the first hundred most were asked before
        CHECK(desk.cell.latency_us() == 100'000);
        REQUIRE(desk.cell.limit() == 20);
        desk.answer(140, 100'000);
        CHECK(desk.cell.limit() == 20);
        desk.answer(40, 100'000);
        CHECK(desk.cell.limit() == 39);  // half as many calls were no quicker
        CHECK(desk.cell.baseline_us() == 20);
    }
    SECTION("nor before two as late as the last ones") {
        desk.answer(30, 10);
        desk.answer(330, 200'000);
        REQUIRE(desk.cell.latency_us() == 200'000);
        REQUIRE(desk.cell.limit() == 20);
        desk.answer(260, 200'000);
        CHECK(desk.cell.limit() == 20);
        desk.answer(150, 200'000);
        CHECK(desk.cell.limit() != 20);
    }
    SECTION("what was asked before it began does not count") {
        desk.answer(30, 10);
        const auto limit = desk.cell.limit();
        for (int i = 0; i < 1000; ++i) desk.cell.add(desk.rules, 1, desk.now_us + 500'000);
        CHECK(desk.cell.limit() == limit);
        CHECK(desk.cell.latency_us() == 10);
    }
    SECTION("one answer that takes very long moves nothing") {
        desk.answer(20, 10);
        desk.cell.add(desk.rules, desk.now_us, desk.now_us + (std::uint64_t{1} << 40));
        desk.answer(40, 10);
        CHECK(desk.cell.latency_us() == 10);
    }
}

TEST_CASE("other bounds hold at once, and what is known stays", "[concurrency]") {
    Cell desk;
    desk.answer(30, 10);
    REQUIRE(desk.cell.limit() == 40);
    desk.cell.begin(desk.rules);
    CHECK(desk.cell.limit() == 40);
    desk.cell.begin({.min = 50, .max = 60});
    CHECK(desk.cell.limit() == 50);
    CHECK(desk.cell.baseline_us() == 10);
    CHECK(desk.cell.limit({.min = 1, .max = 7}) == 7);
}

TEST_CASE("what was forgotten is not learnt anew by whoever is late", "[concurrency]") {
    Cell desk;
    desk.answer(30, 10);
    desk.cell.forget();
    CHECK_FALSE(desk.cell.used());
    desk.answer(200, 10);
    CHECK_FALSE(desk.cell.used());
    CHECK(desk.cell.baseline_us() == 0);
    desk.cell.begin(desk.rules);
    CHECK(desk.cell.limit() == 20);
}

TEST_CASE("many who add at once keep a limit within its bounds", "[concurrency]") {
    const SharedPages pages(sizeof(ConcurrencyCell));
    auto& cell = *new (pages.bytes().data()) ConcurrencyCell;
    const ConcurrencyRules rules{.min = 3, .max = 50};
    cell.begin(rules);
    std::vector<std::thread> threads;
    std::atomic<bool> outside{false};
    for (std::uint64_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            for (std::uint64_t i = 1; i <= 50'000; ++i) {
                const auto limit = cell.limit(rules);
                if (limit < rules.min || limit > rules.max) outside = true;
                cell.see(static_cast<std::uint32_t>(random() % limit) + 1);
                cell.add(rules, i * 1000, i * 1000 + random() % 100'000);
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK_FALSE(outside);
    CHECK(cell.baseline_us() > 0);
    CHECK(cell.baseline_us() < 100'000);
}
