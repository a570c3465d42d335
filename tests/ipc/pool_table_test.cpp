// tests/ipc/pool_table_test.cpp: who has which member, whoever races for it and whoever dies with it.
#include "ipc/pool_table.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "tests/ipc/shared_pages.h"

using ipc::MemberState;
using ipc::PoolTable;
using ipc::PoolTask;

namespace {

constexpr std::uint64_t now = 1000;

/// A pool of idle members.
std::unique_ptr<PoolTable> idle_pool(std::uint32_t members, std::uint32_t queue = 8) {
    auto made =
        PoolTable::create({{.name = "work", .members = members, .size_max = members, .queue = queue}});
    REQUIRE(made);
    for (std::uint32_t member = 0; member < members; ++member) {
        REQUIRE((*made)->change(0, member, MemberState::off, MemberState::starting, now));
        REQUIRE((*made)->change(0, member, MemberState::starting, MemberState::idle, now));
    }
    return std::move(*made);
}

bool rings(int fd) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 0) == 1;
}

std::uint32_t count(const PoolTable& table, MemberState state) {
    std::uint32_t found = 0;
    for (std::uint32_t member = 0; member < table.members(0); ++member)
        found += table.state(0, member) == state ? 1 : 0;
    return found;
}

pid_t forked(const std::function<void()>& body) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        body();
        ::_exit(0);
    }
    return pid;
}

}  // namespace

TEST_CASE("the idle member with the lowest number is the one that is acquired", "[ipc][pool]") {
    const auto table = idle_pool(3);
    const auto first = table->acquire(0, 7, now);
    const auto second = table->acquire(0, 7, now);
    REQUIRE((first && second));
    CHECK((first->member == 0 && second->member == 1));
    CHECK(table->release(*first, now));
    CHECK(table->acquire(0, 7, now)->member == 0);
    CHECK(table->acquire(0, 7, now)->member == 2);
    CHECK_FALSE(table->acquire(0, 7, now));
    CHECK(table->report(0, now + 5).members[1].row == 7);
    CHECK(table->report(0, now + 5).members[1].state_ms == 5);
}

TEST_CASE("a member that is off, starting or retiring is not acquired", "[ipc][pool]") {
    const auto table = PoolTable::create({{.name = "work", .members = 1, .size_max = 1, .queue = 1}});
    REQUIRE(table);
    CHECK_FALSE((*table)->acquire(0, 0, now));
    REQUIRE((*table)->change(0, 0, MemberState::off, MemberState::starting, now));
    CHECK_FALSE((*table)->acquire(0, 0, now));
    REQUIRE((*table)->change(0, 0, MemberState::starting, MemberState::idle, now));
    CHECK((*table)->ask_to_retire(0, 0, now));
    CHECK_FALSE((*table)->acquire(0, 0, now));
}

TEST_CASE("a task ends once, however its holder goes on", "[ipc][pool]") {
    const auto table = idle_pool(1);
    const auto task = table->acquire(0, 1, now);
    REQUIRE(task);
    CHECK(table->release(*task, now));
    CHECK_FALSE(table->release(*task, now));
    const auto next = table->acquire(0, 2, now);
    REQUIRE(next);
    CHECK_FALSE(table->release(*task, now));  // the member is another's by now
    CHECK_FALSE(table->overdue(*task, now));
    CHECK(table->give_up(*next, now));
    CHECK_FALSE(table->release(*next, now));
    CHECK(table->state(0, 0) == MemberState::doubtful);
    CHECK_FALSE(table->acquire(0, 3, now));
}

TEST_CASE("the master hears of tasks that were given up or took too long, but not of others", "[ipc][pool]") {
    const auto table = idle_pool(2);
    const auto done = table->acquire(0, 1, now);
    REQUIRE(table->release(*done, now));
    CHECK_FALSE(rings(table->bell()));
    REQUIRE(table->give_up(*table->acquire(0, 1, now), now));
    CHECK(rings(table->bell()));
    table->hush();
    CHECK_FALSE(rings(table->bell()));
    REQUIRE(table->overdue(*table->acquire(0, 1, now), now));
    CHECK(rings(table->bell()));
    CHECK(count(*table, MemberState::overdue) == 1);
}

TEST_CASE("how long a member is as it is is never negative, whenever it changed", "[ipc][pool]") {
    const auto table = idle_pool(1);
    REQUIRE(table->give_up(*table->acquire(0, 1, now), now + 1));
    CHECK(table->age_ms(0, 0, now + 11) == 10);
    CHECK(table->age_ms(0, 0, now + 1) == 0);
    CHECK(table->age_ms(0, 0, now) == 0);  // whoever looks asked for the time before
    CHECK(table->report(0, now).members.at(0).state_ms == 0);
}

TEST_CASE("a busy member that is asked to retire does so when its task is over", "[ipc][pool]") {
    const auto table = idle_pool(1);
    const auto task = table->acquire(0, 1, now);
    CHECK_FALSE(table->ask_to_retire(0, 0, now));
    CHECK(table->state(0, 0) == MemberState::busy);
    CHECK(table->release(*task, now));
    CHECK(table->state(0, 0) == MemberState::retiring);
    CHECK(rings(table->bell()));
    // the process after it knows nothing of that
    REQUIRE(table->change(0, 0, MemberState::retiring, MemberState::starting, now));
    table->set_process(0, 0, 42, 0);
    REQUIRE(table->change(0, 0, MemberState::starting, MemberState::idle, now));
    REQUIRE(table->release(*table->acquire(0, 1, now), now));
    CHECK(table->state(0, 0) == MemberState::idle);
}

TEST_CASE("a member whose process ended behind its answer waits for another one, and gets no task",
          "[ipc][pool]") {
    const auto table = idle_pool(2);
    table->set_process(0, 0, 42, 0);
    const auto task = table->acquire(0, 7, now);
    REQUIRE(task);
    REQUIRE(task->member == 0);
    table->set_process(0, 0, 0, 0);
    CHECK(table->release(*task, now));
    CHECK(table->state(0, 0) == MemberState::off);
    const auto next = table->acquire(0, 7, now);
    REQUIRE(next);
    CHECK(next->member == 1);
}

TEST_CASE("the master hears of a member that has done its number of tasks", "[ipc][pool]") {
    const auto table = idle_pool(1);
    table->set_process(0, 0, 42, 3);
    for (int task = 0; task < 2; ++task) REQUIRE(table->release(*table->acquire(0, 1, now), now));
    CHECK_FALSE(rings(table->bell()));
    REQUIRE(table->release(*table->acquire(0, 1, now), now));
    CHECK(rings(table->bell()));
    CHECK(table->state(0, 0) == MemberState::idle);
}

TEST_CASE("so many wait as the queue has room for, over all workers", "[ipc][pool]") {
    const auto table = idle_pool(1, 3);
    CHECK((table->enter(0, 1) && table->enter(0, 5) && table->enter(0, 5)));
    CHECK_FALSE(table->enter(0, 1));
    CHECK_FALSE(table->enter(0, 9));
    CHECK(table->waiting(0) == 3);
    table->leave(0, 1);
    CHECK(table->enter(0, 9));
    CHECK_FALSE(table->enter(0, 1));
    table->free_of(5, now);  // with two of the three
    CHECK(table->waiting(0) == 1);
}

TEST_CASE("a queue without room takes nobody", "[ipc][pool]") {
    const auto table = idle_pool(1, 0);
    CHECK_FALSE(table->enter(0, 0));
    CHECK(table->waiting(0) == 0);
}

TEST_CASE("the doorbell rings when a member becomes idle, if anybody waits", "[ipc][pool]") {
    const auto table = idle_pool(1);
    REQUIRE(table->release(*table->acquire(0, 1, now), now));
    CHECK_FALSE(rings(table->doorbell(0)));
    const auto task = table->acquire(0, 1, now);
    REQUIRE(table->enter(0, 2));
    table->pass_on(0);  // nobody is idle
    CHECK_FALSE(rings(table->doorbell(0)));
    REQUIRE(table->release(*task, now));
    CHECK(rings(table->doorbell(0)));
    std::uint64_t rung = 0;
    REQUIRE(::read(table->doorbell(0), &rung, sizeof rung) == sizeof rung);
    CHECK_FALSE(rings(table->doorbell(0)));
    table->pass_on(0);
    CHECK(rings(table->doorbell(0)));
    CHECK_FALSE(rings(table->bell()));
}

TEST_CASE("the master hears of who waits while the pool can grow", "[ipc][pool]") {
    const auto table = idle_pool(1);
    REQUIRE(table->enter(0, 1));
    CHECK_FALSE(rings(table->bell()));
    table->set_growing(0, true);
    REQUIRE(table->enter(0, 1));
    CHECK(rings(table->bell()));
    table->hush();
    REQUIRE(table->enter(0, 1));  // right behind it
    CHECK_FALSE(rings(table->bell()));
}

TEST_CASE("tasks and waiters of a worker that is gone are nobody's", "[ipc][pool]") {
    const auto table = idle_pool(4);
    const auto mine = table->acquire(0, 1, now);
    const auto other = table->acquire(0, 2, now);
    const auto late = table->acquire(0, 1, now);
    REQUIRE(table->overdue(*late, now));
    REQUIRE(table->enter(0, 1));
    CHECK(table->free_of(1, now) == 1);
    CHECK(table->state(0, mine->member) == MemberState::doubtful);
    CHECK(table->state(0, other->member) == MemberState::busy);
    CHECK(table->state(0, late->member) == MemberState::overdue);
    CHECK(table->waiting(0) == 0);
    CHECK_FALSE(table->release(*mine, now));
    CHECK(table->release(*other, now));
}

TEST_CASE("pools do not know each other", "[ipc][pool]") {
    const auto table = PoolTable::create({{.name = "a", .members = 2, .size_max = 1, .queue = 1},
                                          {.name = "b", .members = 1, .size_max = 1, .queue = 1}});
    REQUIRE(table);
    REQUIRE((*table)->change(1, 0, MemberState::off, MemberState::idle, now));
    CHECK_FALSE((*table)->acquire(0, 0, now));
    CHECK((*table)->acquire(1, 0, now)->pool == 1);
    CHECK((*table)->enter(0, 0));
    CHECK((*table)->waiting(1) == 0);
    CHECK((*table)->report(1, now).name == "b");
    CHECK((*table)->report(1, now).tasks == 1);
    CHECK((*table)->report(0, now).tasks == 0);
    CHECK((*table)->descriptors().size() == 3);
}

TEST_CASE("counters go on from those of a pool of the same name", "[ipc][pool]") {
    const auto before = idle_pool(1);
    REQUIRE(before->release(*before->acquire(0, 1, now), now));
    const auto other = PoolTable::create({{.name = "play", .members = 1, .size_max = 1, .queue = 1},
                                          {.name = "work", .members = 1, .size_max = 1, .queue = 1}});
    REQUIRE(other);
    (*other)->counters(1).tasks.add_shared(2);
    (*other)->add_counters_of(*before);
    CHECK((*other)->report(0, now).tasks == 0);
    CHECK((*other)->report(1, now).tasks == 3);
}

TEST_CASE("processes that race for members never have one together", "[ipc][pool]") {
    constexpr std::uint32_t members = 3, workers = 6;
    constexpr int steps = 20'000;
    const auto table = idle_pool(members);
    SharedPages memory(4096);
    auto* held = reinterpret_cast<std::atomic<std::uint32_t>*>(memory.bytes().data());
    auto& wrong = held[members];
    auto& done = held[members + 1];
    std::vector<pid_t> children;
    for (std::uint32_t row = 0; row < workers; ++row)
        children.push_back(forked([&] {
            for (int step = 0; step < steps; ++step) {
                const auto task = table->acquire(0, row, now);
                if (!task) continue;
                if (held[task->member].fetch_add(1) != 0) ++wrong;
                held[task->member].fetch_sub(1);
                if (!table->release(*task, now)) ++wrong;
                ++done;
            }
        }));
    for (const pid_t child : children) {
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    CHECK(wrong == 0);
    CHECK(done > 0);
    CHECK(table->report(0, now).tasks == done);
    CHECK(count(*table, MemberState::idle) == members);
}

TEST_CASE("whoever is killed at whatever instruction, no member is lost and none is given twice",
          "[ipc][pool]") {
    constexpr std::uint32_t members = 4, workers = 4;
    constexpr int kills = 200;
    const auto table = idle_pool(members);
    SharedPages memory(4096);
    auto* held =
        reinterpret_cast<std::atomic<std::uint32_t>*>(memory.bytes().data());  // row + 1 of the holder
    auto& wrong = held[members];
    const auto work = [&](std::uint32_t row) {
        return forked([&, row] {
            for (;;) {
                const bool entered = table->enter(0, row);
                const auto task = table->acquire(0, row, now);
                if (entered) table->leave(0, row);
                if (!task) continue;
                std::uint32_t nobody = 0;
                if (!held[task->member].compare_exchange_strong(nobody, row + 1)) ++wrong;
                held[task->member].store(0);
                table->release(*task, now);
            }
        });
    };
    std::vector<pid_t> children;
    for (std::uint32_t row = 0; row < workers; ++row) children.push_back(work(row));
    std::mt19937 random(1);
    for (int kill = 0; kill < kills; ++kill) {
        const auto row = static_cast<std::uint32_t>(random() % workers);
        ::usleep(static_cast<useconds_t>(random() % 500));
        ::kill(children[row], SIGKILL);
        REQUIRE(::waitpid(children[row], nullptr, 0) == children[row]);
        // as its master does, and then finds out that the process is done
        for (std::uint32_t member = 0; member < members; ++member) {
            std::uint32_t theirs = row + 1;
            held[member].compare_exchange_strong(theirs, 0);
        }
        table->free_of(row, now);
        for (std::uint32_t member = 0; member < members; ++member)
            table->change(0, member, MemberState::doubtful, MemberState::idle, now);
        children[row] = work(row);
    }
    for (std::uint32_t row = 0; row < workers; ++row) {
        ::kill(children[row], SIGKILL);
        REQUIRE(::waitpid(children[row], nullptr, 0) == children[row]);
        table->free_of(row, now);
    }
    CHECK(wrong == 0);
    CHECK(table->waiting(0) == 0);
    CHECK(count(*table, MemberState::idle) + count(*table, MemberState::doubtful) == members);
}

TEST_CASE("a member that is asked to retire while workers race for it always does", "[ipc][pool]") {
    for (int round = 0; round < 300; ++round) {
        const auto table = idle_pool(1);
        std::atomic<bool> over{false};
        const auto work = [&](std::uint32_t row) {
            while (!over)
                if (const auto task = table->acquire(0, row, now)) table->release(*task, now);
        };
        std::thread one(work, 1), other(work, 2);
        table->ask_to_retire(0, 0, now);
        for (int look = 0; table->state(0, 0) != MemberState::retiring && look < 1'000'000; ++look)
            std::this_thread::yield();
        over = true;
        one.join();
        other.join();
        REQUIRE(table->state(0, 0) == MemberState::retiring);
    }
}
