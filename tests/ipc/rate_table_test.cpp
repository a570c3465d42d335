// tests/ipc/rate_table_test.cpp: what a rate limit lets through, whoever calls and whoever dies.
#include "ipc/rate_table.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "ipc/keyed_hash.h"
#include "tests/ipc/shared_pages.h"

using namespace std::chrono_literals;
using ipc::Rate;
using ipc::RateTable;

namespace {

constexpr std::uint64_t second_us = 1'000'000;

/// A table with room for `keys`, and its memory.
struct Table {
    explicit Table(std::size_t keys) : memory(RateTable::bytes_for(keys)), rates(memory.bytes()) {}
    SharedPages memory;
    RateTable rates;
};

/// Of `count` requests at once, how many pass.
int passing(RateTable& rates, std::uint64_t key, const Rate& rate, std::uint64_t now_us, int count) {
    int passed = 0;
    for (int request = 0; request < count; ++request) passed += rates.take(key, rate, now_us).allowed ? 1 : 0;
    return passed;
}

std::uint64_t key_of(std::uint64_t number) { return ipc::rate_key(1, "test", std::to_string(number)); }

/// A bucket that drains: the same rule in another form, for one process.
class LeakyBucket {
 public:
    bool take(const Rate& rate, std::uint64_t now_us) {
        const auto drained = (now_us - last_us_) * 1000;
        level_ns_ -= std::min(level_ns_, drained);
        last_us_ = now_us;
        if (level_ns_ > rate.period_ns * rate.burst) return false;
        level_ns_ += rate.period_ns;
        return true;
    }

 private:
    std::uint64_t level_ns_ = 0, last_us_ = 0;
};

/// What all share who ask in a loop, each time a microsecond later by a simulated clock.
struct Run {
    std::atomic<std::uint64_t> clock_us{second_us};
    std::array<std::atomic<std::uint64_t>, 64> passed{};

    void ask(RateTable rates, const Rate& rate, std::uint64_t until_us, std::uint64_t keys) {
        for (auto now = clock_us++; now < until_us; now = clock_us++) {
            const auto number = now % keys;
            if (rates.take(key_of(number), rate, now).allowed) ++passed.at(number);
        }
    }
};

}  // namespace

TEST_CASE("a key may burst, and then comes at its rate", "[rate]") {
    Table table(64);
    const auto rate = Rate::of(10, 1s, 4);
    std::uint64_t now = 5 * second_us;
    CHECK(passing(table.rates, 1, rate, now, 10) == 5);
    for (int step = 0; step < 50; ++step) {
        now += 99'999;
        CHECK(passing(table.rates, 1, rate, now, 3) == 0);
        now += 1;
        CHECK(passing(table.rates, 1, rate, now, 3) == 1);
    }
    now += 200'000;
    CHECK(passing(table.rates, 1, rate, now, 10) == 2);
    now += 500'000;
    CHECK(passing(table.rates, 1, rate, now, 10) == 5);
    now += 3600 * second_us;
    CHECK(passing(table.rates, 1, rate, now, 10) == 5);  // rest is not saved up
}

TEST_CASE("without a burst requests are a whole period apart", "[rate]") {
    Table table(64);
    const auto rate = Rate::of(2, 1min, 0);
    CHECK(table.rates.take(1, rate, 0).allowed);
    CHECK(table.rates.take(1, rate, 0).retry_after_us == 30 * second_us);
    CHECK(table.rates.take(1, rate, 29'999'999).retry_after_us == 1);
    CHECK(table.rates.take(1, rate, 30'000'000).allowed);
}

TEST_CASE("retry_after_us is exact: not a microsecond before, and then indeed", "[rate]") {
    const Rate rates[] = {Rate::of(1, 1h, 0),      Rate::of(3, 1h, 2),       Rate::of(7, 1s, 6),
                          Rate::of(999, 1min, 50), Rate::of(30'000, 1s, 10), Rate::of(700'000, 1s, 0),
                          Rate::of(1, 1h, 1000)};
    Table table(64);
    std::uint64_t key = 0;
    for (const auto& rate : rates) {
        CAPTURE(rate.period_ns, rate.burst);
        std::uint64_t now = 123'456'789;
        ++key;
        CHECK(passing(table.rates, key, rate, now, 2000) == static_cast<int>(rate.burst) + 1);
        for (int step = 0; step < 100; ++step) {
            const auto refused = table.rates.take(key, rate, now);
            if (refused.allowed) continue;  // several fit into one microsecond
            REQUIRE(refused.retry_after_us > 0);
            CHECK_FALSE(table.rates.take(key, rate, now + refused.retry_after_us - 1).allowed);
            now += refused.retry_after_us;
            const auto passed = table.rates.take(key, rate, now);
            CHECK(passed.allowed);
            CHECK(passed.retry_after_us == 0);
        }
    }
}

TEST_CASE("a rate is met exactly over a long time, however odd or high it is", "[rate]") {
    for (const std::uint32_t requests : {1u, 3u, 7u, 999u, 12'345u, 300'001u, 700'000u, 1'000'000u}) {
        CAPTURE(requests);
        Table table(64);
        const auto rate = Rate::of(requests, 1s, 5);
        std::uint64_t passed = 0;
        for (std::uint64_t now = 0; now < second_us; ++now)
            passed += table.rates.take(9, rate, now).allowed ? 1 : 0;
        CHECK(passed <= requests + 6u);
        CHECK(static_cast<double>(passed) >= requests * 0.999);
    }
}

TEST_CASE("keys do not share, and 0 is a key like any other", "[rate]") {
    Table table(64 * 1024);
    const auto rate = Rate::of(1, 1min, 2);
    for (std::uint64_t number = 0; number < 8 * 1024; ++number) {
        const auto key = number == 0 ? 0 : key_of(number);
        REQUIRE(passing(table.rates, key, rate, second_us, 5) == 3);
    }
    for (std::uint64_t number = 0; number < 8 * 1024; ++number)
        REQUIRE(passing(table.rates, number == 0 ? 0 : key_of(number), rate, 61 * second_us, 5) == 1);
    CHECK(table.rates.displaced() == 0);
}

TEST_CASE("a key that has paid makes room without being displaced", "[rate]") {
    Table table(RateTable::bucket_keys);
    const auto rate = Rate::of(1, 1s, 0);
    for (std::uint64_t turn = 1; turn < 20; ++turn)
        for (std::uint64_t number = 0; number < RateTable::bucket_keys; ++number)
            CHECK(table.rates.take(key_of(turn * 100 + number), rate, turn * second_us).allowed);
    CHECK(table.rates.displaced() == 0);
}

TEST_CASE("a full bucket loses the key that has the least to pay, and counts it", "[rate]") {
    Table table(RateTable::bucket_keys);
    const auto rate = Rate::of(1, 1s, 19);
    for (std::uint64_t number = 0; number < RateTable::bucket_keys; ++number)
        CHECK(passing(table.rates, key_of(number), rate, second_us, 100 - 99 * (number == 5)) ==
              20 - 19 * (number == 5));
    CHECK(table.rates.displaced() == 0);
    CHECK(passing(table.rates, key_of(99), rate, second_us, 1) == 1);  // takes the place of 5
    CHECK(table.rates.displaced() == 1);
    for (std::uint64_t number = 0; number < RateTable::bucket_keys; ++number)
        if (number != 5) CHECK(passing(table.rates, key_of(number), rate, second_us, 1) == 0);
    CHECK(passing(table.rates, key_of(5), rate, second_us, 100) == 20);  // anew, in the place of 99
    CHECK(table.rates.displaced() == 2);
    // However many strangers come, who is refused stays refused.
    for (std::uint64_t number = 1000; number < 2000; ++number)
        CHECK(table.rates.take(key_of(number), rate, second_us).allowed);
    CHECK(table.rates.displaced() == 2 + 1000);
    int refused = 0;
    for (std::uint64_t number = 0; number < RateTable::bucket_keys; ++number)
        refused += table.rates.take(key_of(number), rate, second_us).allowed ? 0 : 1;
    CHECK(refused == RateTable::bucket_keys - 1);
}

TEST_CASE("a new rate goes on where the old one was, and does not punish for what that allowed", "[rate]") {
    Table table(64);
    CHECK(passing(table.rates, 1, Rate::of(1, 1h, 99), second_us, 200) == 100);  // to be paid in 100 hours
    CHECK(passing(table.rates, 1, Rate::of(1, 1s, 2), second_us, 9) == 3);
    CHECK(passing(table.rates, 1, Rate::of(1, 1s, 5), second_us, 9) == 3);
    CHECK(passing(table.rates, 1, Rate::of(1, 1s, 4), second_us, 9) == 0);
}

TEST_CASE("a worker whose clock is a little late gets nothing extra", "[rate]") {
    Table table(64);
    const auto rate = Rate::of(1000, 1s, 0);
    std::uint64_t passed = 0;
    for (std::uint64_t now = second_us; now < 2 * second_us; now += 100) {
        passed += table.rates.take(1, rate, now).allowed ? 1 : 0;
        passed += table.rates.take(1, rate, now - 900'000).allowed ? 1 : 0;
    }
    CHECK(passed == 1000);
}

TEST_CASE("any sequence of requests fares as with a leaky bucket for each key", "[rate]") {
    std::mt19937_64 random(20'240'517);
    const Rate rates[] = {Rate::of(1, 1s, 0), Rate::of(50, 1s, 7), Rate::of(90, 1min, 30),
                          Rate::of(333'333, 1s, 3)};
    Table table(4096);
    std::map<std::uint64_t, LeakyBucket> model;
    std::uint64_t now = 0;
    for (int step = 0; step < 100'000; ++step) {
        const std::uint64_t most[] = {2, 500, 20'000, 3 * second_us};
        now += random() % most[random() % 4];
        const auto number = random() % 40;
        const auto& rate = rates[number % 4];
        const bool expected = model[number].take(rate, now);
        if (table.rates.take(key_of(number), rate, now).allowed != expected) FAIL("step " << step);
    }
    CHECK(table.rates.displaced() == 0);
}

TEST_CASE("whatever stands in the memory, nobody waits longer than a period and a second", "[rate]") {
    std::mt19937_64 random(7);
    const auto rate = Rate::of(1, 1min, 10);
    const std::uint64_t now = 1000 * second_us;
    for (int turn = 0; turn < 300; ++turn) {
        Table table(RateTable::bucket_keys);
        // The bucket as any race and any death might leave it: tags twice, times of other keys, nonsense.
        for (std::size_t slot = 0; slot < RateTable::bucket_keys; ++slot) {
            const std::uint64_t tags[] = {0, key_of(random() % 4), random()};
            const std::uint64_t times[] = {0, now * 1000 + random() % (1000 * 1000 * second_us), random(),
                                           ~std::uint64_t{0}};
            const std::uint64_t words[] = {tags[random() % 3], times[random() % 4]};
            std::memcpy(&table.memory.bytes()[RateTable::alignment + slot * sizeof words], words,
                        sizeof words);
        }
        for (std::uint64_t number = 0; number < 4; ++number) {
            const auto first = table.rates.take(key_of(number), rate, now);
            REQUIRE(first.retry_after_us <= 61 * second_us);
            if (first.allowed) continue;
            REQUIRE(table.rates.take(key_of(number), rate, now + first.retry_after_us).allowed);
        }
    }
}

TEST_CASE("8 threads together get no more through than one would", "[rate]") {
    Table table(1024);
    const auto rate = Rate::of(1000, 1s, 20);
    constexpr std::uint64_t lasts_us = 400'000, keys = 3;
    Run run;
    std::vector<std::thread> threads;
    for (int count = 0; count < 8; ++count)
        threads.emplace_back([&] { run.ask(table.rates, rate, second_us + lasts_us, keys); });
    for (auto& thread : threads) thread.join();
    CHECK(table.rates.displaced() == 0);
    for (std::uint64_t number = 0; number < keys; ++number) {
        CHECK(run.passed[number] <= 20 + 1 + lasts_us / 1000);
        CHECK(run.passed[number] >= lasts_us / 1000);
    }
}

TEST_CASE("8 threads in a table too small exceed the rate only by what was displaced", "[rate]") {
    Table table(RateTable::bucket_keys);
    const auto rate = Rate::of(100, 1s, 3);
    constexpr std::uint64_t lasts_us = 200'000, keys = 24, burst_and_one = 4;
    Run run;
    std::vector<std::thread> threads;
    for (int count = 0; count < 8; ++count)
        threads.emplace_back([&] { run.ask(table.rates, rate, second_us + lasts_us, keys); });
    for (auto& thread : threads) thread.join();
    std::uint64_t passed = 0;
    for (std::uint64_t number = 0; number < keys; ++number) passed += run.passed[number];
    CHECK(table.rates.displaced() > 0);
    CHECK(passed >= keys * lasts_us / 10'000);
    // The races that are not counted are far rarer than displacements: a hundredth is plenty.
    const auto anew = table.rates.displaced() + table.rates.displaced() / 100;
    CHECK(passed <= keys * (burst_and_one + lasts_us / 10'000) + anew * burst_and_one);
}

TEST_CASE("processes share a limit, and what the dead have taken stays taken", "[rate]") {
    Table table(1024);
    SharedPages pages(sizeof(Run));
    auto& run = *new (pages.bytes().data()) Run;
    const auto rate = Rate::of(1000, 1s, 20);
    constexpr std::uint64_t lasts_us = 200'000;
    std::array<pid_t, 4> children{};
    for (auto& child : children) {
        child = ::fork();
        if (child == 0) {
            run.ask(table.rates, rate, second_us + lasts_us, 1);
            ::_exit(0);
        }
    }
    for (const auto child : children) {
        int status = 1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    CHECK(run.passed[0] <= 20 + 1 + lasts_us / 1000);
    CHECK(run.passed[0] >= lasts_us / 1000);
    const auto rest = passing(table.rates, key_of(0), rate, second_us + lasts_us, 100);
    CHECK(run.passed[0] + static_cast<std::uint64_t>(rest) <= 20 + 1 + lasts_us / 1000);
}

TEST_CASE("children killed in the middle leave nothing stuck", "[rate]") {
    Table table(2 * RateTable::bucket_keys);
    SharedPages pages(sizeof(Run));
    auto& run = *new (pages.bytes().data()) Run;
    const auto rate = Rate::of(100, 1s, 3);
    for (int turn = 0; turn < 30; ++turn) {
        const auto begin = run.clock_us.load();
        std::array<pid_t, 2> children{};
        for (auto& child : children) {
            child = ::fork();
            if (child == 0) {
                run.ask(table.rates, rate, ~std::uint64_t{0}, 40);  // more than there is room for
                ::_exit(0);
            }
        }
        while (run.clock_us.load() < begin + 2000) std::this_thread::yield();
        for (const auto child : children) {
            ::kill(child, SIGKILL);
            REQUIRE(::waitpid(child, nullptr, 0) == child);
        }
        auto now = run.clock_us += 10'000 + second_us;  // a period and a second
        for (std::uint64_t number = 0; number < 40; ++number)
            CHECK(table.rates.take(key_of(number), rate, now).allowed);
        now = run.clock_us += second_us;
        CHECK(passing(table.rates, key_of(0), rate, now, 9) == 4);  // and it limits as before
    }
}
