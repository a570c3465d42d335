// Those who wait: in order, not too many, not too long.
#include "worker/dispatch/waiting_line.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/worker/turn.h"

namespace {

using worker::dispatch::Patience;
using worker::dispatch::Waiting;
using worker::dispatch::WaitingLine;

struct Waiter final : Waiting {
    explicit Waiter(std::string by = "") : name(std::move(by)) {}
    void on_late() noexcept override { late = true; }
    std::string name;
    bool late = false;
};

struct World {
    ipc::LoopCell cell;
    worker::execution::Loop loop{cell};
    Logged logged;

    /// Turns until that holds.
    void until(const std::function<bool()>& holds) {
        while (!holds())
            Turn(
                loop, [] {}, std::chrono::milliseconds(5));
    }
    std::string names(WaitingLine& line) {
        std::string all;
        while (Waiting* one = line.next()) all += static_cast<Waiter*>(one)->name;
        return all;
    }
};

}  // namespace

TEST_CASE("a line is first come, first served, and has no room for more than it may", "[worker][dispatch]") {
    World world;
    WaitingLine line(world.loop, {3, 10'000}, "tests");
    Waiter a("a"), b("b"), c("c"), d("d");
    Turn(world.loop, [&] {
        CHECK(line.join(a));
        CHECK(line.join(b));
        CHECK(line.join(c));
        CHECK_FALSE(line.join(d));
        CHECK(world.cell.waiting.get() == 3);
        line.quit(b);
        line.quit(b);
        CHECK(line.size() == 2);
        CHECK(world.names(line) == "ac");
        CHECK(line.next() == nullptr);
    });
    CHECK(world.cell.waiting.get() == 0);
    CHECK(world.cell.queue_full.get() == 1);
    CHECK(world.cell.queue_late.get() == 0);
    CHECK(world.logged.text().find("tests refused why=queue_full waiting=3") != std::string::npos);
}

TEST_CASE("nobody waits longer than the line lets", "[worker][dispatch]") {
    World world;
    WaitingLine line(world.loop, {3, 150}, "tests");
    Waiter a, b;
    Turn(world.loop, [&] { CHECK(line.join(a)); });
    world.until([&] { return world.loop.clock().now_ms() > 0 && a.late; });
    CHECK(line.empty());
    CHECK(world.cell.queue_late.get() == 1);
    CHECK(world.cell.waiting.get() == 0);
    Turn(world.loop, [&] { CHECK(line.join(b)); });  // and the line goes on to look
    world.until([&] { return b.late; });
    CHECK(world.cell.queue_late.get() == 2);
}

TEST_CASE("when the first has waited for half of its time, the newest is next", "[worker][dispatch]") {
    World world;
    WaitingLine line(world.loop, {9, 2'000}, "tests");
    Waiter a("a"), b("b"), c("c");
    std::uint64_t begun = 0;
    Turn(world.loop, [&] {
        begun = world.loop.clock().now_ms();
        CHECK(line.join(a));
        CHECK(line.join(b));
    });
    world.until([&] { return world.loop.clock().now_ms() >= begun + 1'000; });
    Turn(world.loop, [&] {
        CHECK(line.join(c));
        CHECK(world.names(line) == "cba");
    });
    CHECK_FALSE(a.late);
}

TEST_CASE("a line that goes leaves those who wait unharmed", "[worker][dispatch]") {
    World world;
    Waiter a;
    {
        WaitingLine line(world.loop, {3, 150}, "tests");
        Turn(world.loop, [&] { CHECK(line.join(a)); });
    }
    CHECK_FALSE(a.linked());
    CHECK_FALSE(a.late);
}
