// tests/ipc/count_table_test.cpp: how many run at once, whoever counts and whoever dies.
#include "ipc/count_table.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "ipc/keyed_hash.h"
#include "tests/ipc/shared_pages.h"

using ipc::CountTable;
using Entry = ipc::CountTable::Entry;

namespace {

constexpr std::uint32_t rows = 16;

/// A table of `rows` with room for `keys` each, and its memory.
struct Table {
    explicit Table(std::size_t keys)
        : memory(CountTable::bytes_for(rows, keys)), counts(memory.bytes(), rows) {}
    /// No request is left in it, under whatever key; as long as none went uncounted.
    [[nodiscard]] bool empty() const {
        const auto bytes = memory.bytes();
        return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
    }
    SharedPages memory;
    CountTable counts;
};

std::uint64_t key_of(std::uint64_t number) { return ipc::rate_key(1, "test", std::to_string(number)); }

/// Enters and leaves at random, holding up to five, and looks that no more than `max` of a key run.
/// `running` is told after the entry and before the leave, so it is never above the truth.
void busy(CountTable counts, std::uint32_t row, std::uint32_t max,
          std::array<std::atomic<std::uint32_t>, 4>& running, std::atomic<std::uint64_t>& exceeded,
          int steps) {
    std::mt19937 random(row + 1);
    std::vector<std::uint32_t> held;
    const auto leave_one = [&] {
        --running[held.back()];
        counts.leave(row, key_of(held.back()));
        held.pop_back();
    };
    for (int step = 0; step < steps; ++step) {
        const auto number = static_cast<std::uint32_t>(random() % running.size());
        if (held.size() < 5 && counts.enter(row, rows, key_of(number), max) == Entry::counted) {
            held.push_back(number);
            if (++running[number] > max) ++exceeded;
        }
        if (!held.empty() && random() % 2 == 0) leave_one();
    }
    while (!held.empty()) leave_one();
}

}  // namespace

TEST_CASE("as many enter as may, and who leaves makes place for one", "[count]") {
    Table table(64);
    for (int count = 0; count < 3; ++count) CHECK(table.counts.enter(0, 1, 42, 3) == Entry::counted);
    CHECK(table.counts.enter(0, 1, 42, 3) == Entry::refused);
    CHECK(table.counts.count(1, 42) == 3);  // the refused one took itself back
    table.counts.leave(0, 42);
    CHECK(table.counts.enter(0, 1, 42, 3) == Entry::counted);
    CHECK(table.counts.enter(0, 1, 42, 3) == Entry::refused);
    for (int count = 0; count < 3; ++count) table.counts.leave(0, 42);
    CHECK(table.empty());
    CHECK(table.counts.enter(0, 1, 42, 0) == Entry::refused);
    CHECK(table.empty());
}

TEST_CASE("what counts is the sum over the rows of all workers", "[count]") {
    Table table(64);
    CHECK(table.counts.enter(0, 4, 42, 3) == Entry::counted);
    CHECK(table.counts.enter(3, 4, 42, 3) == Entry::counted);
    CHECK(table.counts.enter(2, 4, 42, 3) == Entry::counted);
    for (std::uint32_t row = 0; row < 4; ++row) CHECK(table.counts.enter(row, 4, 42, 3) == Entry::refused);
    table.counts.leave(3, 42);
    CHECK(table.counts.enter(1, 4, 42, 3) == Entry::counted);
    CHECK(table.counts.count(4, 42) == 3);
    CHECK(table.counts.count(1, 42) == 1);
}

TEST_CASE("a worker whose row is newer than rows_used sees itself", "[count]") {
    Table table(64);
    CHECK(table.counts.enter(5, 2, 42, 1) == Entry::counted);
    CHECK(table.counts.enter(5, 2, 42, 1) == Entry::refused);
    CHECK(table.counts.enter(5, 99, 42, 1) == Entry::refused);  // more rows than there are
}

TEST_CASE("keys are counted apart, 0 and all ones among them", "[count]") {
    Table table(1024);
    std::vector<std::uint64_t> keys{0, ~std::uint64_t{0}, 1};
    for (std::uint64_t number = 0; number < 100; ++number) keys.push_back(key_of(number));
    for (const auto key : keys) {
        CHECK(table.counts.enter(0, 2, key, 2) == Entry::counted);
        CHECK(table.counts.enter(1, 2, key, 2) == Entry::counted);
    }
    for (const auto key : keys) CHECK(table.counts.enter(0, 2, key, 2) == Entry::refused);
    for (const auto key : keys) {
        table.counts.leave(0, key);
        CHECK(table.counts.count(2, key) == 1);
        table.counts.leave(1, key);
        CHECK(table.counts.count(2, key) == 0);
    }
    CHECK(table.empty());
}

TEST_CASE("a row without room lets its requests through and counts that", "[count]") {
    Table table(CountTable::line_keys);
    for (std::uint64_t number = 0; number < CountTable::line_keys; ++number)
        CHECK(table.counts.enter(0, 2, key_of(number), 1) == Entry::counted);
    CHECK(table.counts.enter(0, 2, key_of(99), 1) == Entry::uncounted);
    CHECK(table.counts.enter(0, 2, key_of(99), 1) == Entry::uncounted);
    CHECK(table.counts.uncounted(0) == 2);
    CHECK(table.counts.enter(0, 2, key_of(3), 1) == Entry::refused);  // who has room is limited

    SECTION("unless other rows alone are at the limit") {
        CHECK(table.counts.enter(1, 2, key_of(99), 1) == Entry::counted);
        CHECK(table.counts.enter(0, 2, key_of(99), 1) == Entry::refused);
    }
    SECTION("until one leaves") {
        table.counts.leave(0, key_of(3));
        CHECK(table.counts.enter(0, 2, key_of(99), 1) == Entry::counted);
        CHECK(table.counts.enter(0, 2, key_of(99), 1) == Entry::refused);
    }
    CHECK(table.counts.uncounted(0) == 2);
    CHECK(table.counts.uncounted(1) == 0);
}

TEST_CASE("there is room for any number of keys, one after the other", "[count]") {
    Table table(CountTable::line_keys);
    for (std::uint64_t number = 0; number < 1000; ++number) {
        REQUIRE(table.counts.enter(0, 1, key_of(number), 1) == Entry::counted);
        if (number >= 5) table.counts.leave(0, key_of(number - 5));
    }
    CHECK(table.counts.uncounted(0) == 0);
}

TEST_CASE("clearing a row takes away what its worker held, and nothing else", "[count]") {
    Table table(64);
    for (const std::uint64_t key : {1u, 2u, 3u}) {
        CHECK(table.counts.enter(0, 2, key, 2) == Entry::counted);
        CHECK(table.counts.enter(1, 2, key, 2) == Entry::counted);
        CHECK(table.counts.enter(1, 2, key, 2) == Entry::refused);
    }
    table.counts.clear(0);
    for (const std::uint64_t key : {1u, 2u, 3u}) {
        CHECK(table.counts.count(2, key) == 1);
        CHECK(table.counts.enter(0, 2, key, 2) == Entry::counted);
    }
    table.counts.clear(0);
    table.counts.clear(1);
    CHECK(table.empty());
}

TEST_CASE("leaving what was never entered, or was cleared, changes nothing", "[count]") {
    Table table(64);
    table.counts.leave(0, 42);
    table.counts.leave(0, 0);
    CHECK(table.empty());
    CHECK(table.counts.enter(1, 2, 42, 5) == Entry::counted);
    table.counts.leave(0, 42);
    table.counts.clear(0);
    CHECK(table.counts.count(2, 42) == 1);
}

TEST_CASE("any sequence of calls counts as a map would", "[count]") {
    std::mt19937 random(20'240'517);
    Table table(1024);
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> model;  // by row and key
    for (int step = 0; step < 50'000; ++step) {
        const auto row = static_cast<std::uint32_t>(random() % 5);
        const auto number = random() % 30;
        const auto max = static_cast<std::uint32_t>(number % 4 + 1);
        std::uint64_t running = 0;
        for (const auto& [place, count] : model) running += place.second == number ? count : 0;
        auto& mine = model[{row, number}];
        if (random() % 2 == 0) {
            const auto expected = running < max ? Entry::counted : Entry::refused;
            if (table.counts.enter(row, 5, key_of(number), max) != expected) FAIL("enter, step " << step);
            mine += expected == Entry::counted ? 1 : 0;
        } else if (random() % 100 == 0) {
            table.counts.clear(row);
            for (auto& [place, count] : model)
                if (place.first == row) count = 0;
        } else {
            table.counts.leave(row, key_of(number));
            mine -= std::min(mine, 1u);
        }
    }
    for (std::uint64_t number = 0; number < 30; ++number) {
        std::uint64_t running = 0;
        for (const auto& [place, count] : model) running += place.second == number ? count : 0;
        CHECK(table.counts.count(5, key_of(number)) == running);
    }
}

TEST_CASE("8 workers never hold more than the maximum together, and lose no count", "[count]") {
    Table table(64);
    std::array<std::atomic<std::uint32_t>, 4> running{};
    std::atomic<std::uint64_t> exceeded{0};
    std::vector<std::thread> threads;
    for (std::uint32_t row = 0; row < 8; ++row)
        threads.emplace_back([&, row] { busy(table.counts, row, 6, running, exceeded, 40'000); });
    for (auto& thread : threads) thread.join();
    CHECK(exceeded == 0);
    CHECK(table.empty());
}

TEST_CASE("two who share a row lose no count either", "[count]") {
    Table table(64);
    std::array<std::atomic<std::uint32_t>, 4> running{};
    std::atomic<std::uint64_t> exceeded{0};
    std::vector<std::thread> threads;
    for (std::uint32_t count = 0; count < 8; ++count)
        threads.emplace_back([&, count] { busy(table.counts, count % 4, 6, running, exceeded, 20'000); });
    for (auto& thread : threads) thread.join();
    CHECK(table.empty());
}

TEST_CASE("the last place goes to one worker at most, and is free again when all were refused", "[count]") {
    Table table(64);
    std::atomic<std::uint32_t> holders{0}, exceeded{0};
    std::vector<std::thread> threads;
    for (std::uint32_t row = 0; row < 4; ++row)
        threads.emplace_back([&, row] {
            for (int step = 0; step < 20'000; ++step) {
                if (table.counts.enter(row, 4, 42, 1) != Entry::counted) continue;
                if (++holders > 1) ++exceeded;
                --holders;
                table.counts.leave(row, 42);
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(exceeded == 0);
    CHECK(table.counts.enter(0, 4, 42, 1) == Entry::counted);
}

TEST_CASE("what a killed worker held counts until its row is cleared", "[count]") {
    Table table(64);
    REQUIRE(table.counts.enter(0, 2, 42, 2) == Entry::counted);
    const pid_t child = ::fork();
    if (child == 0) {
        const bool entered = table.counts.enter(1, 2, 42, 2) == Entry::counted;
        ::kill(entered ? ::getpid() : 0, SIGKILL);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(table.counts.enter(0, 2, 42, 2) == Entry::refused);
    table.counts.clear(1);
    CHECK(table.counts.enter(0, 2, 42, 2) == Entry::counted);
}

TEST_CASE("a worker killed at any instruction leaves nothing that clearing its row does not end", "[count]") {
    Table table(CountTable::line_keys);
    SharedPages pages(sizeof(std::atomic<std::uint64_t>));
    auto& steps = *new (pages.bytes().data()) std::atomic<std::uint64_t>(0);
    for (int turn = 0; turn < 30; ++turn) {
        const auto begin = steps.load();
        const pid_t child = ::fork();
        if (child == 0) {
            for (std::uint64_t step = 0;; ++step, ++steps) {
                const auto key = key_of(step % 7);
                if (table.counts.enter(1, 2, key, 3) == Entry::counted && step % 3 != 0)
                    table.counts.leave(1, key);
            }
        }
        while (steps.load() < begin + 500) std::this_thread::yield();
        ::kill(child, SIGKILL);
        REQUIRE(::waitpid(child, nullptr, 0) == child);
        table.counts.clear(1);
        CHECK(table.empty());
    }
}
