// tests/worker/pool_queue_test.cpp: who gets a member, who waits, and for how long.
#include "worker/execution/pool_queue.h"

#include <deque>
#include <vector>

#include "ipc/clock.h"

using ipc::MemberState;
using worker::execution::Loop;
using worker::execution::PoolQueue;
using worker::execution::PoolWaiter;
using worker::execution::StandingLine;
using Asked = PoolQueue::Asked;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t row = 3;

std::unique_ptr<ipc::PoolTable> pool_of(std::uint32_t members, std::uint32_t queue) {
    auto made =
        ipc::PoolTable::create({{.name = "work", .members = members, .size_max = members, .queue = queue}});
    REQUIRE(made);
    for (std::uint32_t member = 0; member < members; ++member)
        REQUIRE((*made)->change(0, member, MemberState::off, MemberState::idle, 1));
    return std::move(*made);
}

struct Waiter : PoolWaiter {
    void on_member(const ipc::PoolTask& given) override {
        task = given;
        at_us = ipc::monotonic_us();
        if (order != nullptr) order->push_back(number);
    }
    void on_late() override {
        late = true;
        at_us = ipc::monotonic_us();
    }
    ipc::PoolTask task;
    std::uint64_t at_us = 0;  ///< told something
    bool late = false;
    int number = 0;
    std::vector<int>* order = nullptr;
    [[nodiscard]] bool has() const { return at_us != 0 && !late; }
};

struct World {
    explicit World(std::uint32_t members, std::uint32_t room = 100, std::chrono::milliseconds timeout = 10s,
                   std::chrono::microseconds usual = 1ms)
        : table(pool_of(members, room)), loop(cell), queue(loop, *table, 0, row, timeout) {
        table->counters(0).over.add();
        table->counters(0).busy_us.add(static_cast<std::uint64_t>(usual.count()));
    }
    template <class Condition>
    bool turn_until(const Condition& condition) {
        const auto end = ipc::monotonic_ms() + 5000;
        while (!condition()) {
            if (ipc::monotonic_ms() > end) return false;
            event_base_loop(&loop.base(), EVLOOP_NONBLOCK);
            ::usleep(200);
        }
        return true;
    }
    void turn_for(std::chrono::milliseconds time) {
        const auto end = ipc::monotonic_ms() + static_cast<std::uint64_t>(time.count());
        (void)turn_until([&] { return ipc::monotonic_ms() >= end; });
    }
    Asked ask(Waiter& waiter) { return queue.ask(waiter, waiter.task); }
    void release(const ipc::PoolTask& task) { REQUIRE(table->release(task, ipc::monotonic_ms())); }

    ipc::LoopCell cell;
    std::unique_ptr<ipc::PoolTable> table;
    Loop loop;
    PoolQueue queue;
};

}  // namespace

TEST_CASE("an idle member is given at once", "[pool]") {
    World world(1);
    Waiter waiter;
    REQUIRE(world.ask(waiter) == Asked::given);
    CHECK(world.table->state(0, waiter.task.member) == MemberState::busy);
    CHECK(world.queue.waiting() == 0);
    CHECK(world.table->waiting(0) == 0);
}

TEST_CASE("those who wait get members in order as they become idle", "[pool]") {
    World world(1);
    std::vector<int> order;
    std::array<Waiter, 4> waiters;
    for (int i = 0; i < 4; ++i) {
        waiters[static_cast<std::size_t>(i)].number = i;
        waiters[static_cast<std::size_t>(i)].order = &order;
    }
    REQUIRE(world.ask(waiters[0]) == Asked::given);
    for (std::size_t i = 1; i < 4; ++i) REQUIRE(world.ask(waiters[i]) == Asked::queued);
    CHECK(world.table->waiting(0) == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        world.release(waiters[i].task);
        REQUIRE(world.turn_until([&] { return waiters[i + 1].has(); }));
    }
    CHECK(order == std::vector{1, 2, 3});
    CHECK(world.queue.waiting() == 0);
    CHECK(world.table->waiting(0) == 0);
    CHECK(world.table->counters(0).waited_us.get() > 0);
}

TEST_CASE("a member that is given back goes to whoever waits in the same queue, without a bell", "[pool]") {
    World world(1);
    Waiter first, second;
    REQUIRE(world.ask(first) == Asked::given);
    REQUIRE(world.ask(second) == Asked::queued);
    world.queue.release(first.task);
    CHECK_FALSE(second.has());  // not before the turn is over
    std::uint64_t rung = 0;
    CHECK(::read(world.table->doorbell(0), &rung, sizeof rung) < 0);
    world.loop.after_turn([&] { world.loop.stop(); });
    world.loop.run();
    CHECK(second.has());
    CHECK(world.table->waiting(0) == 0);
}

TEST_CASE("a member that is given back rings for those who wait elsewhere", "[pool]") {
    World world(1);
    Waiter first;
    REQUIRE(world.ask(first) == Asked::given);
    REQUIRE(world.table->enter(0, row + 1));
    world.queue.release(first.task);
    std::uint64_t rung = 0;
    CHECK(::read(world.table->doorbell(0), &rung, sizeof rung) == sizeof rung);
}

TEST_CASE("a full queue takes nobody", "[pool]") {
    World world(1, 2);
    std::array<Waiter, 4> waiters;
    REQUIRE(world.ask(waiters[0]) == Asked::given);
    REQUIRE(world.ask(waiters[1]) == Asked::queued);
    REQUIRE(world.ask(waiters[2]) == Asked::queued);
    CHECK(world.ask(waiters[3]) == Asked::full);
    CHECK(world.table->counters(0).refused_full.get() == 1);
    world.queue.leave(waiters[1]);
    CHECK(world.ask(waiters[3]) == Asked::queued);
    for (auto& waiter : waiters) world.queue.leave(waiter);
}

TEST_CASE("whoever waits too long is told, on time", "[pool]") {
    World world(1, 10, 80ms);
    std::array<Waiter, 3> waiters;
    REQUIRE(world.ask(waiters[0]) == Asked::given);
    const auto begun = ipc::monotonic_us();
    REQUIRE(world.ask(waiters[1]) == Asked::queued);
    REQUIRE(world.ask(waiters[2]) == Asked::queued);
    REQUIRE(world.turn_until([&] { return waiters[1].late && waiters[2].late; }));
    CHECK(waiters[1].at_us - begun >= 80'000);
    CHECK(waiters[1].at_us - begun < 130'000);
    CHECK(world.table->counters(0).refused_late.get() == 2);
    CHECK(world.table->waiting(0) == 0);
    world.release(waiters[0].task);
    world.turn_for(20ms);
    CHECK(world.table->state(0, 0) == MemberState::idle);  // and none of them took it
}

TEST_CASE("whoever leaves is never given a member", "[pool]") {
    World world(1);
    std::array<Waiter, 3> waiters;
    REQUIRE(world.ask(waiters[0]) == Asked::given);
    REQUIRE(world.ask(waiters[1]) == Asked::queued);
    REQUIRE(world.ask(waiters[2]) == Asked::queued);
    world.queue.leave(waiters[1]);
    world.queue.leave(waiters[1]);
    CHECK(world.table->waiting(0) == 1);
    CHECK(world.table->counters(0).left.get() == 1);
    world.release(waiters[0].task);
    REQUIRE(world.turn_until([&] { return waiters[2].has(); }));
    CHECK(waiters[1].at_us == 0);
}

TEST_CASE("in a queue that stands, the newest is first and waits a tenth of the time", "[pool]") {
    World world(1, 10, 2s);
    std::vector<int> order;
    std::array<Waiter, 5> waiters;
    for (int i = 0; i < 5; ++i) {
        waiters[static_cast<std::size_t>(i)].number = i;
        waiters[static_cast<std::size_t>(i)].order = &order;
    }
    REQUIRE(world.ask(waiters[0]) == Asked::given);
    REQUIRE(world.ask(waiters[1]) == Asked::queued);
    REQUIRE(world.ask(waiters[2]) == Asked::queued);
    world.turn_for(StandingLine::standing_time + 20ms);
    const auto begun = ipc::monotonic_us();
    REQUIRE(world.ask(waiters[3]) == Asked::queued);
    REQUIRE(world.ask(waiters[4]) == Asked::queued);
    world.release(waiters[0].task);
    REQUIRE(world.turn_until([&] { return waiters[4].has(); }));
    REQUIRE(world.turn_until([&] { return waiters[3].late; }));
    CHECK(waiters[3].at_us - begun >= 200'000);
    CHECK(waiters[3].at_us - begun < 280'000);
    CHECK_FALSE(waiters[1].late);
    world.release(waiters[4].task);
    REQUIRE(world.turn_until([&] { return waiters[2].has(); }));
    world.release(waiters[2].task);
    REQUIRE(world.turn_until([&] { return waiters[1].has(); }));
    CHECK(order == std::vector{4, 2, 1});
}

TEST_CASE("a queue that was empty again has patience again", "[pool]") {
    World world(1, 10, 1s);
    std::array<Waiter, 3> waiters;
    REQUIRE(world.ask(waiters[0]) == Asked::given);
    REQUIRE(world.ask(waiters[1]) == Asked::queued);
    world.turn_for(StandingLine::standing_time + 20ms);
    world.queue.leave(waiters[1]);
    REQUIRE(world.ask(waiters[2]) == Asked::queued);
    world.turn_for(200ms);  // longer than a tenth
    CHECK_FALSE(waiters[2].late);
    world.queue.leave(waiters[2]);
}

TEST_CASE("two loops that wait both get what several members that become idle at once are worth", "[pool]") {
    World world(2);
    Loop loop(world.cell);
    PoolQueue other(loop, *world.table, 0, row + 1, 10s);
    std::array<Waiter, 4> waiters;
    REQUIRE(world.ask(waiters[0]) == Asked::given);
    REQUIRE(world.ask(waiters[1]) == Asked::given);
    REQUIRE(world.ask(waiters[2]) == Asked::queued);
    REQUIRE(other.ask(waiters[3], waiters[3].task) == Asked::queued);
    world.release(waiters[0].task);
    world.release(waiters[1].task);
    REQUIRE(world.turn_until([&] { return waiters[2].has(); }));  // and takes both rings
    REQUIRE(world.turn_until([&] {
        event_base_loop(&loop.base(), EVLOOP_NONBLOCK);
        return waiters[3].has();
    }));
}

TEST_CASE("a member that is freed by another process is noticed", "[pool]") {
    World world(1);
    const auto theirs = world.table->acquire(0, row + 1, 1);
    Waiter waiter;
    REQUIRE(world.ask(waiter) == Asked::queued);
    CHECK(world.table->free_of(row + 1, 1) == 1);  // it died
    REQUIRE(world.table->change(0, theirs->member, MemberState::doubtful, MemberState::idle, 1));
    REQUIRE(world.turn_until([&] { return waiter.has(); }));
}

TEST_CASE("where a task takes long, a line is no overload before one could be over", "[pool]") {
    World world(1, 100, 10s, 2s);
    Waiter busy, first, second;
    REQUIRE(world.ask(busy) == Asked::given);
    REQUIRE(world.ask(first) == Asked::queued);
    world.turn_for(StandingLine::standing_time + 20ms);
    REQUIRE(world.ask(second) == Asked::queued);
    world.release(busy.task);
    CHECK(world.turn_until([&] { return first.has() || second.has(); }));
    CHECK(first.has());
    CHECK_FALSE(second.has());
    world.queue.leave(second);
}
