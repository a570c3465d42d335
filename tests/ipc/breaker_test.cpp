// tests/ipc/breaker_test.cpp: what a breaker promises, to one process, to many, and after the death of any.
#include "ipc/breaker.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "ipc/clock.h"

using ipc::BreakerCause;
using ipc::BreakerCell;
using ipc::BreakerForce;
using ipc::BreakerRules;
using ipc::BreakerState;
using ipc::Outcome;

namespace {

constexpr std::uint32_t me = 4242;  // a pid; the breaker only compares them
constexpr std::uint64_t start_ms = 5'000'000;

/// One T in zeroed memory that children share.
template <class T>
class Shared {
 public:
    Shared()
        : memory_(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        REQUIRE(memory_ != MAP_FAILED);
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { ::munmap(memory_, sizeof(T)); }
    T& operator*() const { return *static_cast<T*>(memory_); }
    T* operator->() const { return static_cast<T*>(memory_); }

 private:
    void* memory_;
};

pid_t start_child(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    work();
    ::_exit(0);
}

/// Waits for its end; whether that was a good one.
bool ended_well(pid_t child) {
    int status = 0;
    return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void in_threads(std::size_t count, const std::function<void(std::uint32_t)>& work) {
    std::atomic<bool> go{false};
    std::vector<std::thread> threads;
    for (std::uint32_t number = 1; number <= count; ++number)
        threads.emplace_back([&, number] {
            while (!go) std::this_thread::yield();
            work(number);
        });
    go = true;
    for (auto& thread : threads) thread.join();
}

/// A whole call that must be admitted; what its outcome changed.
std::optional<ipc::Transition> call(BreakerCell& cell, const BreakerRules& rules, Outcome outcome,
                                    std::uint64_t now_ms) {
    const auto admission = cell.admit(rules, now_ms, me);
    REQUIRE(admission.admitted);
    return cell.record(rules, admission.ticket, outcome, now_ms);
}

/// Opens a closed breaker; how long it stays so.
std::uint64_t open_by_failures(BreakerCell& cell, const BreakerRules& rules, std::uint64_t now_ms) {
    for (std::uint32_t count = 1; count < rules.failures; ++count)
        REQUIRE_FALSE(call(cell, rules, Outcome::failure, now_ms));
    const auto opened = call(cell, rules, Outcome::failure, now_ms);
    REQUIRE(opened);
    return opened->open_ms;
}

std::uint64_t times(const BreakerCell& cell, BreakerState to) {
    return cell.counts().entered[static_cast<std::size_t>(to)].get();
}

}  // namespace

TEST_CASE("memory of zeros is a closed and fresh breaker", "[breaker]") {
    Shared<BreakerCell> cell;
    CHECK(cell->state(0) == BreakerState::closed);
    CHECK(cell->state(start_ms) == BreakerState::closed);
    CHECK(cell->status(start_ms).generation == 0);
    CHECK(cell->status(start_ms).in_state_ms == 0);
    CHECK(cell->status(start_ms).force == BreakerForce::automatic);
    const auto admission = cell->admit({}, start_ms, me);
    CHECK(admission.admitted);
    CHECK(admission.ticket.permit == -1);
    CHECK_FALSE(admission.transition);
    CHECK_FALSE(cell->record({}, admission.ticket, Outcome::success, start_ms));
}

TEST_CASE("a breaker opens after so many failures in a row", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 5};
    for (int count = 1; count < 5; ++count) CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
    CHECK(cell->state(start_ms) == BreakerState::closed);
    const auto opened = call(*cell, rules, Outcome::failure, start_ms);
    REQUIRE(opened);
    CHECK(opened->from == BreakerState::closed);
    CHECK(opened->to == BreakerState::open);
    CHECK(opened->cause == BreakerCause::failures);
    CHECK(cell->state(start_ms) == BreakerState::open);
    CHECK(times(*cell, BreakerState::open) == 1);
    CHECK(cell->counts().failures.get() == 5);
}

TEST_CASE("a success, and a slow one too, starts the row of failures anew", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 2};
    for (int round = 0; round < 10; ++round) {
        CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
        CHECK_FALSE(call(*cell, rules, round % 2 == 0 ? Outcome::success : Outcome::slow, start_ms));
    }
    CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
    CHECK_FALSE(call(*cell, rules, Outcome::neutral, start_ms));
    CHECK(call(*cell, rules, Outcome::failure, start_ms));
}

TEST_CASE("failures of several processes are one row", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 5};
    for (int count = 1; count <= 5; ++count) {
        CHECK(cell->state(start_ms) == BreakerState::closed);
        CHECK(ended_well(start_child([&] {
            const auto admission = cell->admit(rules, start_ms, static_cast<std::uint32_t>(::getpid()));
            const auto made = cell->record(rules, admission.ticket, Outcome::failure, start_ms);
            if (!admission.admitted || made.has_value() != (count == 5)) ::_exit(1);
        })));
    }
    CHECK(cell->state(start_ms) == BreakerState::open);
    CHECK_FALSE(cell->admit(rules, start_ms, me).admitted);
}

TEST_CASE("rules without a trigger admit everything, even what is open by earlier rules", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules none{.failures = 0};
    CHECK_FALSE(none.enabled());
    CHECK(BreakerRules{}.enabled());
    CHECK(BreakerRules{.failures = 0, .failure_percent = 1}.enabled());
    CHECK(BreakerRules{.failures = 0, .slow_percent = 1}.enabled());
    for (int count = 0; count < 100; ++count) {
        CHECK_FALSE(call(*cell, none, Outcome::failure, start_ms));
        CHECK_FALSE(call(*cell, none, Outcome::slow, start_ms));
    }
    open_by_failures(*cell, {}, start_ms);
    CHECK_FALSE(cell->admit({}, start_ms, me).admitted);
    CHECK_FALSE(call(*cell, none, Outcome::failure, start_ms));
    CHECK(cell->state(start_ms) == BreakerState::open);
    (void)cell->force(BreakerForce::open, start_ms);
    CHECK_FALSE(cell->admit(none, start_ms, me).admitted);
}

TEST_CASE("a share of failures opens it, once there were enough calls", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 0, .failure_percent = 50, .calls_min = 20};
    for (int count = 0; count < 9; ++count) {
        CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
        CHECK_FALSE(call(*cell, rules, Outcome::success, start_ms));
    }
    CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));  // 10 of 19
    const auto opened = call(*cell, rules, Outcome::failure, start_ms);
    REQUIRE(opened);  // 11 of 20
    CHECK(opened->cause == BreakerCause::failure_percent);
}

TEST_CASE("a share of failures below the rule does not open it", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 0, .failure_percent = 51, .calls_min = 1};
    for (int count = 0; count < 500; ++count) {
        CHECK_FALSE(call(*cell, rules, Outcome::success, start_ms));
        CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
    }
    const auto window = cell->window(rules, start_ms);
    CHECK(window.calls == 1000);
    CHECK(window.failed == 500);
    CHECK(window.slow == 0);
}

TEST_CASE("a share of slow calls opens it", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 0, .slow_percent = 40, .slow_ms = 100, .calls_min = 10};
    for (int count = 0; count < 6; ++count) CHECK_FALSE(call(*cell, rules, Outcome::success, start_ms));
    for (int count = 0; count < 3; ++count) CHECK_FALSE(call(*cell, rules, Outcome::slow, start_ms));
    const auto opened = call(*cell, rules, Outcome::slow, start_ms);
    REQUIRE(opened);
    CHECK(opened->cause == BreakerCause::slow_percent);
    CHECK(cell->counts().slow.get() == 4);
}

TEST_CASE("calls leave the window when their time has passed", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 0, .failure_percent = 50, .window_ms = 10'000, .calls_min = 4};
    for (int count = 0; count < 3; ++count) CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
    CHECK(cell->window(rules, start_ms + 9'999).failed == 3);
    CHECK(cell->window(rules, start_ms + 10'000).failed == 0);
    CHECK(cell->window(rules, start_ms + 1'000'000'000).failed == 0);
    CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms + 10'000));
    CHECK(cell->window(rules, start_ms + 10'000).calls == 1);
    for (int count = 0; count < 2; ++count)
        CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms + 15'000));
    CHECK(call(*cell, rules, Outcome::failure, start_ms + 19'999));
}

TEST_CASE("a breaker that closed again starts with an empty window", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 0, .failure_percent = 50, .calls_min = 10, .reset_ms = 100};
    std::optional<ipc::Transition> opened;
    for (int count = 0; count < 10; ++count) opened = call(*cell, rules, Outcome::failure, start_ms);
    REQUIRE(opened);
    const auto later = start_ms + opened->open_ms;
    CHECK(call(*cell, rules, Outcome::success, later));
    CHECK(cell->state(later) == BreakerState::closed);
    CHECK(cell->window(rules, later).calls == 0);
    for (int count = 0; count < 9; ++count) CHECK_FALSE(call(*cell, rules, Outcome::failure, later));
    CHECK(call(*cell, rules, Outcome::failure, later));
}

TEST_CASE("a bucket with more calls than it can count keeps their shares", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 0, .failure_percent = 30, .calls_min = 1'000'000};
    for (int count = 0; count < 100'000; ++count) {
        const auto outcome = count % 4 == 0 ? Outcome::failure : Outcome::success;
        if (call(*cell, rules, outcome, start_ms)) FAIL("25 % opened it after " << count);
    }
    const auto window = cell->window(rules, start_ms);
    CHECK(window.calls >= 8'191);
    CHECK(window.failed * 100 / window.calls >= 24);
    CHECK(window.failed * 100 / window.calls <= 25);
    int more = 0;
    while (!call(*cell, rules, Outcome::failure, start_ms)) ++more;
    CHECK(more < 2'000);
}

TEST_CASE("an open breaker refuses and says for how long: reset_ms and up to a tenth", "[breaker]") {
    std::set<std::uint64_t> seen;
    for (std::uint64_t now = start_ms; now < start_ms + 50; ++now) {
        Shared<BreakerCell> cell;
        const BreakerRules rules{.reset_ms = 10'000};
        const auto open_ms = open_by_failures(*cell, rules, now);
        seen.insert(open_ms);
        CHECK(open_ms >= 10'000);
        CHECK(open_ms <= 11'000);
        const auto refusal = cell->admit(rules, now + 1'000, me);
        CHECK_FALSE(refusal.admitted);
        CHECK(refusal.retry_after_ms == open_ms - 1'000);
        CHECK(cell->status(now + 1'000).retry_after_ms == open_ms - 1'000);
        CHECK_FALSE(cell->admit(rules, now + open_ms - 1, me).admitted);
        CHECK(cell->counts().refused.get() == 2);
        CHECK_FALSE(cell->record(rules, refusal.ticket, Outcome::success, now));  // of no call: no effect
        CHECK(cell->state(now + open_ms - 1) == BreakerState::open);
        CHECK(cell->state(now + open_ms) == BreakerState::half_open);
        CHECK(cell->admit(rules, now + open_ms, me).admitted);
    }
    CHECK(seen.size() > 10);
}

TEST_CASE("half-open lets exactly so many through, and closes when all succeeded", "[breaker]") {
    for (const std::uint32_t probes : {1u, 2u, 16u}) {
        Shared<BreakerCell> cell;
        const BreakerRules rules{.reset_ms = 100, .probes = probes};
        const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
        std::vector<ipc::Ticket> tickets;
        for (std::uint32_t count = 0; count < probes; ++count) {
            const auto admission = cell->admit(rules, now, me);
            REQUIRE(admission.admitted);
            CHECK(admission.transition.has_value() == (count == 0));
            CHECK(admission.ticket.permit >= 0);
            tickets.push_back(admission.ticket);
        }
        const auto refusal = cell->admit(rules, now + 1, me);
        CHECK_FALSE(refusal.admitted);
        CHECK(refusal.retry_after_ms == rules.reset_ms);  // the probe may be over long before its lease
        for (std::uint32_t count = 1; count < probes; ++count) {
            CHECK_FALSE(cell->record(rules, tickets[count], Outcome::success, now));
            CHECK(cell->state(now) == BreakerState::half_open);
        }
        const auto closed = cell->record(rules, tickets[0], Outcome::success, now);
        REQUIRE(closed);
        CHECK(closed->from == BreakerState::half_open);
        CHECK(closed->to == BreakerState::closed);
        CHECK(cell->counts().probes.get() == probes);
        CHECK(cell->status(now + 7).in_state_ms == 7);
        CHECK(cell->admit(rules, now, me).ticket.permit == -1);
    }
}

TEST_CASE("more probes than there are permits are as many as there are, and none is one", "[breaker]") {
    for (const auto& [asked, given] : {std::pair{100u, 16u}, std::pair{0u, 1u}}) {
        Shared<BreakerCell> cell;
        const BreakerRules rules{.probes = asked};
        const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
        for (std::uint32_t count = 0; count < 20; ++count)
            CHECK(cell->admit(rules, now, me).admitted == (count < given));
    }
}

TEST_CASE("a probe that fails or is slow opens it again, with a new time", "[breaker]") {
    for (const auto outcome : {Outcome::failure, Outcome::slow}) {
        Shared<BreakerCell> cell;
        const BreakerRules rules{.reset_ms = 1'000'000, .probes = 3};
        const auto first_ms = open_by_failures(*cell, rules, start_ms);
        const auto now = start_ms + first_ms;
        CHECK_FALSE(call(*cell, rules, Outcome::success, now));
        const auto opened = call(*cell, rules, outcome, now);
        REQUIRE(opened);
        CHECK(opened->from == BreakerState::half_open);
        CHECK(opened->to == BreakerState::open);
        CHECK(opened->cause == BreakerCause::probe);
        CHECK(opened->open_ms != first_ms);
        CHECK_FALSE(cell->admit(rules, now, me).admitted);

        const auto later = now + opened->open_ms;  // the success before does not count any more
        CHECK_FALSE(call(*cell, rules, Outcome::success, later));
        CHECK_FALSE(call(*cell, rules, Outcome::success, later));
        CHECK(call(*cell, rules, Outcome::success, later));
    }
}

TEST_CASE("half-open lets exactly so many through, whoever races for them", "[breaker]") {
    for (const std::uint32_t probes : {1u, 3u, 16u}) {
        for (int round = 0; round < 20; ++round) {
            Shared<BreakerCell> cell;
            const BreakerRules rules{.failures = 1, .reset_ms = 100, .probes = probes};
            const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
            std::atomic<std::uint32_t> admitted{0}, transitions{0};
            in_threads(8, [&](std::uint32_t pid) {
                for (int count = 0; count < 1'000; ++count) {
                    const auto admission = cell->admit(rules, now, pid);
                    if (admission.admitted) ++admitted;
                    if (admission.transition) ++transitions;
                }
            });
            CHECK(admitted == probes);
            CHECK(transitions == 1);
            CHECK(cell->counts().probes.get() == probes);
            CHECK(cell->counts().refused.get() == 8'000 - probes);
        }
    }
}

TEST_CASE("never are more permits out than the rule says, while they are taken and given back", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 1, .reset_ms = 100, .probes = 2};
    const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
    std::atomic<std::uint32_t> out{0}, most{0}, taken{0};
    in_threads(8, [&](std::uint32_t pid) {
        for (int count = 0; count < 5'000; ++count) {
            const auto admission = cell->admit(rules, now, pid);
            if (!admission.admitted) continue;
            const auto seen = ++out;
            if (seen > most) most = seen;
            ++taken;
            --out;
            (void)cell->record(rules, admission.ticket, Outcome::neutral, now);
        }
    });
    CHECK(most <= 2);
    CHECK(taken > 2);
    CHECK(cell->state(now) == BreakerState::half_open);
    CHECK(call(*cell, rules, Outcome::success, now).has_value() == false);
    CHECK(call(*cell, rules, Outcome::success, now));
}

TEST_CASE("the permit of a killed process is free when its master says so, or when it expires", "[breaker]") {
    const bool told = GENERATE(true, false);
    Shared<BreakerCell> cell;
    const BreakerRules rules{.reset_ms = 100, .probe_lease_ms = 3'000};
    const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
    const pid_t child = start_child([&] {
        (void)cell->admit(rules, now, static_cast<std::uint32_t>(::getpid()));
        ::raise(SIGKILL);
    });
    REQUIRE_FALSE(ended_well(child));
    CHECK_FALSE(cell->admit(rules, now + 2'999, me).admitted);
    if (told) {
        cell->free_leases_of(static_cast<std::uint32_t>(child) + 1);
        CHECK_FALSE(cell->admit(rules, now + 2'999, me).admitted);
        cell->free_leases_of(static_cast<std::uint32_t>(child));
        CHECK(call(*cell, rules, Outcome::success, now + 2'999));
    } else {
        CHECK(call(*cell, rules, Outcome::success, now + 3'000));
    }
    CHECK(cell->state(now) == BreakerState::closed);
}

TEST_CASE("who lost its lease gives back nothing, but what it saw counts", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.reset_ms = 100, .probes = 1, .probe_lease_ms = 50};
    const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
    const auto late = cell->admit(rules, now, me);
    const auto next = cell->admit(rules, now + 50, me);  // the same slot, the same process
    REQUIRE(late.admitted);
    REQUIRE(next.admitted);
    CHECK_FALSE(cell->record(rules, late.ticket, Outcome::neutral, now + 51));
    CHECK_FALSE(cell->admit(rules, now + 51, me).admitted);
    CHECK(cell->record(rules, late.ticket, Outcome::success, now + 52));
    CHECK(cell->state(now + 52) == BreakerState::closed);
    CHECK_FALSE(cell->record(rules, next.ticket, Outcome::failure, now + 53));
    CHECK(cell->state(now + 53) == BreakerState::closed);
}

TEST_CASE("a neutral outcome gives the permit back and decides nothing", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failure_percent = 1, .calls_min = 1, .reset_ms = 100};
    for (int count = 0; count < 100; ++count) CHECK_FALSE(call(*cell, rules, Outcome::neutral, start_ms));
    CHECK(cell->window(rules, start_ms).calls == 0);
    const auto opened = call(*cell, rules, Outcome::failure, start_ms);
    REQUIRE(opened);
    const auto now = start_ms + opened->open_ms;
    for (int count = 0; count < 100; ++count) CHECK_FALSE(call(*cell, rules, Outcome::neutral, now));
    CHECK(cell->state(now) == BreakerState::half_open);
    CHECK(call(*cell, rules, Outcome::success, now));
}

TEST_CASE("outcomes of calls from before a transition do not count", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 2, .reset_ms = 100, .probes = 2, .probe_lease_ms = 1'000};
    const auto early = cell->admit(rules, start_ms, me).ticket;
    const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
    CHECK_FALSE(cell->record(rules, early, Outcome::success, start_ms));  // while open
    CHECK(cell->state(start_ms) == BreakerState::open);

    const auto hanging = cell->admit(rules, now, me).ticket;
    CHECK_FALSE(cell->record(rules, early, Outcome::failure, now));  // while half-open
    CHECK(cell->state(now) == BreakerState::half_open);
    const auto opened = call(*cell, rules, Outcome::failure, now);
    REQUIRE(opened);

    const auto later = now + opened->open_ms;
    const auto probe = cell->admit(rules, later, me);
    CHECK(probe.admitted);
    CHECK_FALSE(cell->admit(rules, later, me).admitted);  // one permit is out since the time before
    CHECK_FALSE(cell->record(rules, hanging, Outcome::failure, later));
    CHECK(cell->state(later) == BreakerState::half_open);
    CHECK_FALSE(cell->record(rules, probe.ticket, Outcome::success, later));  // the first: that was none
    CHECK(call(*cell, rules, Outcome::success, later));                       // with the permit given back

    CHECK_FALSE(cell->record(rules, early, Outcome::failure, later));  // closed, but another time
    CHECK_FALSE(call(*cell, rules, Outcome::failure, later));
    CHECK(call(*cell, rules, Outcome::failure, later));
}

TEST_CASE("a closing that was due is made up for by the next call", "[breaker]") {
    // As when the process that counted the last success died right after; here the rules ask for fewer.
    Shared<BreakerCell> cell;
    BreakerRules rules{.reset_ms = 100, .probes = 3};
    const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
    CHECK_FALSE(call(*cell, rules, Outcome::success, now));
    CHECK_FALSE(call(*cell, rules, Outcome::success, now));
    rules.probes = 2;
    const auto admission = cell->admit(rules, now, me);
    CHECK(admission.admitted);
    REQUIRE(admission.transition);
    CHECK(admission.transition->to == BreakerState::closed);
    CHECK(admission.ticket.permit == -1);
    CHECK(times(*cell, BreakerState::closed) == 1);
}

TEST_CASE("no failure is lost when many count at once", "[breaker]") {
    const BreakerRules rules{
        .failures = 64'000, .failure_percent = 100, .window_ms = 100'000, .calls_min = 8'000};
    for (int round = 0; round < 20; ++round) {
        Shared<BreakerCell> cell;
        CHECK_FALSE(call(*cell, rules, Outcome::success, start_ms));  // so that never all have failed
        std::atomic<std::uint32_t> opened{0};
        in_threads(4, [&](std::uint32_t pid) {
            for (std::uint64_t count = pid == 1 ? 1 : 0; count < 16'000; ++count) {
                const auto now = start_ms + count / 2'000 * 10'000;  // eight buckets
                const auto admission = cell->admit(rules, now, pid);
                if (cell->record(rules, admission.ticket, Outcome::failure, now)) ++opened;
            }
        });
        const auto now = start_ms + 79'999;
        CHECK(opened == 0);
        CHECK(cell->window(rules, now).calls == 64'000);
        CHECK(cell->window(rules, now).failed == 63'999);
        CHECK(call(*cell, rules, Outcome::failure, now));
    }
}

TEST_CASE("each transition is reported to one caller, whoever races", "[breaker]") {
    for (int round = 0; round < 200; ++round) {
        Shared<BreakerCell> cell;
        const BreakerRules rules{.failures = 20};
        std::atomic<std::uint32_t> opened{0};
        in_threads(8, [&](std::uint32_t pid) {
            for (int count = 0; count < 20; ++count) {
                const auto admission = cell->admit(rules, start_ms, pid);
                if (cell->record(rules, admission.ticket, Outcome::failure, start_ms)) ++opened;
            }
        });
        CHECK(opened == 1);
        CHECK(times(*cell, BreakerState::open) == 1);
        CHECK(cell->status(start_ms).generation == 1);
    }
}

TEST_CASE("through many openings and closings reports and counts agree", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 3, .slow_percent = 50, .calls_min = 5, .reset_ms = 0, .probes = 2};
    std::array<std::atomic<std::uint32_t>, 3> left{}, entered{};
    in_threads(8, [&](std::uint32_t pid) {
        std::minstd_rand random(pid);
        const auto note = [&](const std::optional<ipc::Transition>& made) {
            if (!made) return;
            ++left[static_cast<std::size_t>(made->from)];
            ++entered[static_cast<std::size_t>(made->to)];
        };
        for (std::uint64_t now = start_ms; now < start_ms + 100'000; ++now) {
            const auto admission = cell->admit(rules, now, pid);
            note(admission.transition);
            const auto outcome = static_cast<Outcome>(random() % 4);
            if (admission.admitted) note(cell->record(rules, admission.ticket, outcome, now));
        }
    });
    std::uint64_t all = 0;
    for (const auto state : {BreakerState::closed, BreakerState::open, BreakerState::half_open}) {
        const auto index = static_cast<std::size_t>(state);
        CHECK(entered[index] == times(*cell, state));
        CHECK(entered[index] > 10);
        const auto rest = static_cast<std::int64_t>(left[index]) - static_cast<std::int64_t>(entered[index]);
        CHECK(rest >= -1);  // in it now
        CHECK(rest <= (state == BreakerState::closed ? 1 : 0));
        all += entered[index];
    }
    CHECK(cell->status(start_ms).generation == all % (1 << 20));
}

TEST_CASE("the operator's word holds until it is changed", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 2, .reset_ms = 100};
    CHECK_FALSE(cell->force(BreakerForce::automatic, start_ms));
    const auto before = cell->admit(rules, start_ms, me).ticket;

    const auto opened = cell->force(BreakerForce::open, start_ms);
    REQUIRE(opened);
    CHECK(opened->to == BreakerState::open);
    CHECK(opened->cause == BreakerCause::force);
    CHECK_FALSE(cell->force(BreakerForce::open, start_ms));
    for (const std::uint64_t later : {0ull, 1'000'000ull, 1'000'000'000'000ull}) {
        const auto refusal = cell->admit(rules, start_ms + later, me);
        CHECK_FALSE(refusal.admitted);
        CHECK(refusal.retry_after_ms == rules.reset_ms);
        CHECK(cell->state(start_ms + later) == BreakerState::open);
    }
    CHECK(cell->status(start_ms).force == BreakerForce::open);

    const auto closed = cell->force(BreakerForce::closed, start_ms);
    REQUIRE(closed);
    CHECK(closed->to == BreakerState::closed);
    for (int count = 0; count < 100; ++count) CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
    const auto during = cell->admit(rules, start_ms, me).ticket;
    CHECK(cell->counts().failures.get() == 100);

    CHECK_FALSE(cell->force(BreakerForce::automatic, start_ms));  // closed it was
    for (const auto& ticket : {before, during, before, during})
        CHECK_FALSE(cell->record(rules, ticket, Outcome::failure, start_ms));
    const auto now = start_ms + open_by_failures(*cell, rules, start_ms);
    CHECK_FALSE(cell->force(BreakerForce::automatic, now));  // it was that already
    CHECK(cell->state(start_ms) == BreakerState::open);

    CHECK_FALSE(cell->force(BreakerForce::open, now));  // open it was, but now it stays so
    CHECK_FALSE(cell->admit(rules, now + 1'000, me).admitted);
    const auto fresh = cell->force(BreakerForce::automatic, now);
    REQUIRE(fresh);
    CHECK(fresh->from == BreakerState::open);
    CHECK(fresh->to == BreakerState::closed);
    CHECK_FALSE(call(*cell, rules, Outcome::failure, now));
    CHECK(call(*cell, rules, Outcome::failure, now));
}

TEST_CASE("the operator's word is not undone by failures that race with it", "[breaker]") {
    for (int round = 0; round < 100; ++round) {
        Shared<BreakerCell> cell;
        const BreakerRules rules{.failures = 1, .reset_ms = 0};
        in_threads(4, [&](std::uint32_t number) {
            for (int count = 0; count < 50; ++count) {
                if (number == 1 && count == 25) (void)cell->force(BreakerForce::closed, start_ms);
                const auto admission = cell->admit(rules, start_ms, number);
                if (admission.admitted)
                    (void)cell->record(rules, admission.ticket, Outcome::failure, start_ms);
            }
        });
        CHECK(cell->state(start_ms) == BreakerState::closed);
        CHECK(cell->status(start_ms).force == BreakerForce::closed);
        CHECK(cell->admit(rules, start_ms, me).admitted);
    }
}

TEST_CASE("good calls of a closed breaker write nothing", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.failures = 5};
    CHECK_FALSE(call(*cell, rules, Outcome::failure, start_ms));
    CHECK_FALSE(call(*cell, rules, Outcome::success, start_ms));
    CHECK(ended_well(start_child([&] {
        if (::mprotect(&*cell, sizeof(BreakerCell), PROT_READ) != 0) ::_exit(1);
        for (int count = 0; count < 3; ++count) {
            const auto admission = cell->admit(rules, start_ms, me);
            (void)cell->record(rules, admission.ticket, Outcome::success, start_ms);
            (void)cell->record(rules, admission.ticket, Outcome::neutral, start_ms);
        }
    })));
}

TEST_CASE("times go on when the clock passes what a word can hold", "[breaker]") {
    const std::uint64_t wrap = std::uint64_t{1} << 40;
    for (const std::uint64_t now : {wrap - 50, wrap - 150, 7 * wrap - 50, std::uint64_t{0}}) {
        Shared<BreakerCell> cell;
        const BreakerRules rules{.reset_ms = 100, .probe_lease_ms = 100};
        const auto open_ms = open_by_failures(*cell, rules, now);
        CHECK(cell->admit(rules, now + 20, me).retry_after_ms == open_ms - 20);
        CHECK_FALSE(cell->admit(rules, now + open_ms - 1, me).admitted);
        CHECK(cell->admit(rules, now + open_ms, me).admitted);
        CHECK_FALSE(cell->admit(rules, now + open_ms + 99, me).admitted);
        CHECK(cell->admit(rules, now + open_ms + 100, me).admitted);
    }
}

TEST_CASE("spans beyond all reason are long, not short", "[breaker]") {
    Shared<BreakerCell> cell;
    const BreakerRules rules{.reset_ms = ~std::uint64_t{0}, .probe_lease_ms = ~std::uint64_t{0}};
    const auto open_ms = open_by_failures(*cell, rules, start_ms);
    CHECK(open_ms > 100'000'000'000);
    CHECK_FALSE(cell->admit(rules, start_ms + 100'000'000'000, me).admitted);
    CHECK(cell->admit(rules, start_ms + open_ms, me).admitted);
    CHECK_FALSE(cell->admit(rules, start_ms + open_ms + 100'000'000'000, me).admitted);
}

TEST_CASE("after processes were killed at any instruction everything still moves", "[breaker]") {
    struct Memory {
        BreakerCell cell;
        std::atomic<std::uint64_t> calls;
    };
    Shared<Memory> memory;
    auto& cell = memory->cell;
    // A lease so long that one that leaked would show.
    const BreakerRules rules{.failures = 3,
                             .failure_percent = 60,
                             .slow_percent = 60,
                             .window_ms = 20,
                             .calls_min = 5,
                             .reset_ms = 1,
                             .probes = 4,
                             .probe_lease_ms = 3'600'000};
    const auto work = [&] {
        const auto pid = static_cast<std::uint32_t>(::getpid());
        std::minstd_rand random(pid);
        for (;;) {
            const auto admission = cell.admit(rules, ipc::monotonic_ms(), pid);
            const auto outcome = random() % 8 < 5 ? Outcome::success : static_cast<Outcome>(random() % 4);
            if (admission.admitted) (void)cell.record(rules, admission.ticket, outcome, ipc::monotonic_ms());
            memory->calls.fetch_add(1);
        }
    };
    const auto end = [&](pid_t child) {
        ::kill(child, SIGKILL);
        CHECK_FALSE(ended_well(child));
        cell.free_leases_of(static_cast<std::uint32_t>(child));
    };
    std::array<pid_t, 3> children{};
    for (auto& child : children) child = start_child(work);
    for (std::size_t round = 0; round < 60; ++round) {
        const auto before = memory->calls.load();
        while (memory->calls.load() < before + 300) std::this_thread::yield();  // refused ones included
        auto& child = children[round % children.size()];
        end(child);
        child = start_child(work);
    }
    for (const auto child : children) end(child);

    auto now = ipc::monotonic_ms() + 10;
    for (int count = 0; cell.state(now) != BreakerState::half_open && count < 10; ++count) {
        const auto admission = cell.admit(rules, now, me);
        (void)cell.record(rules, admission.ticket, Outcome::failure, now);
        now += 10;
    }
    REQUIRE(cell.state(now) == BreakerState::half_open);
    CHECK(call(cell, rules, Outcome::failure, now));  // whatever successes were counted are void now
    now += 10;
    std::vector<ipc::Ticket> tickets;
    for (int count = 0; count < 10; ++count)
        if (const auto admission = cell.admit(rules, now, me); admission.admitted)
            tickets.push_back(admission.ticket);
    CHECK(tickets.size() == 4);
    for (const auto& ticket : tickets) (void)cell.record(rules, ticket, Outcome::success, now);
    CHECK(cell.state(now) == BreakerState::closed);
}

TEST_CASE("states and causes have names", "[breaker]") {
    CHECK(ipc::name(BreakerState::closed) == "closed");
    CHECK(ipc::name(BreakerState::half_open) == "half-open");
    CHECK(ipc::name(BreakerCause::failures) == "failures");
    CHECK(ipc::name(BreakerCause::force) == "force");
}

namespace {

/// The same breaker for one thread, without any thrift.
struct Model {
    struct Call {
        std::uint64_t epoch;
        Outcome outcome;
    };
    struct Lease {
        std::size_t ticket;
        std::uint32_t pid;
        std::uint64_t until;
    };

    BreakerRules rules;
    BreakerState state = BreakerState::closed;
    BreakerForce force = BreakerForce::automatic;
    std::uint64_t generation = 0, until = 0;
    std::uint32_t failures = 0, successes = 0;
    std::vector<Call> calls;
    std::vector<Lease> leases;

    void enter(BreakerState next) {
        state = next;
        ++generation;
        failures = successes = 0;
        calls.clear();
    }
    void forget(std::uint64_t now) {
        std::erase_if(leases, [&](const Lease& lease) { return lease.until <= now; });
        const auto epoch = now / (rules.window_ms / 10);
        std::erase_if(calls, [&](const Call& call) { return call.epoch + 10 <= epoch; });
    }
    bool admit(std::size_t ticket, std::uint64_t now, std::uint32_t pid) {
        forget(now);
        if (state == BreakerState::closed) return true;
        if (force == BreakerForce::open) return false;
        if (state == BreakerState::open) {
            if (now < until) return false;
            enter(BreakerState::half_open);
        }
        if (leases.size() >= rules.probes) return false;
        leases.push_back({ticket, pid, now + rules.probe_lease_ms});
        return true;
    }
    [[nodiscard]] std::uint64_t count(Outcome outcome) const {
        return static_cast<std::uint64_t>(std::count_if(
            calls.begin(), calls.end(), [&](const Call& call) { return call.outcome == outcome; }));
    }
    /// Returns true if it opens: the time is for the caller to learn.
    bool record(std::size_t ticket, std::uint64_t born, Outcome outcome, std::uint64_t now) {
        std::erase_if(leases, [&](const Lease& lease) { return lease.ticket == ticket; });
        forget(now);
        if (born != generation || outcome == Outcome::neutral || force != BreakerForce::automatic)
            return false;
        bool opens = false;
        if (state == BreakerState::half_open) {
            opens = outcome != Outcome::success;
            if (!opens && ++successes == rules.probes) enter(BreakerState::closed);
        } else {
            calls.push_back({now / (rules.window_ms / 10), outcome});
            failures = outcome == Outcome::failure ? failures + 1 : 0;
            const auto share = [&](Outcome kind, std::uint32_t percent) {
                return percent > 0 && calls.size() >= rules.calls_min &&
                       count(kind) * 100 >= percent * calls.size();
            };
            opens = outcome != Outcome::success && ((rules.failures > 0 && failures >= rules.failures) ||
                                                    share(Outcome::failure, rules.failure_percent) ||
                                                    share(Outcome::slow, rules.slow_percent));
        }
        if (opens) enter(BreakerState::open);
        return opens;
    }
    void tell(BreakerForce word) {
        if (word == force) return;
        enter(word == BreakerForce::open ? BreakerState::open : BreakerState::closed);
        force = word;
    }
};

}  // namespace

TEST_CASE("random operations do what a simple model does", "[breaker]") {
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
        Shared<BreakerCell> cell;
        Model model;
        model.rules = {.failures = below(4),
                       .failure_percent = below(2) * 50,
                       .slow_percent = below(2) * 40,
                       .window_ms = 1'000,
                       .calls_min = 1 + below(10),
                       .reset_ms = 1 + below(500),
                       .probes = 1 + below(4),
                       .probe_lease_ms = 1 + below(300)};
        if (!model.rules.enabled()) model.rules.failures = 3;
        struct Flight {
            ipc::Ticket ticket;
            std::uint64_t generation;
            std::size_t number;
        };
        std::vector<Flight> flights;
        std::uint64_t now = seed % 2 == 0 ? start_ms : (std::uint64_t{1} << 40) - 10'000;
        const auto bad_percent = below(60);
        for (std::size_t step = 0; step < 500; ++step) {
            const auto before = model.state;
            std::optional<ipc::Transition> made;
            switch (const auto choice = below(20)) {
                case 0: now += below(400); break;
                case 1: {
                    if (below(5) != 0) break;
                    const auto word = static_cast<BreakerForce>(below(3));
                    made = cell->force(word, now);
                    model.tell(word);
                    break;
                }
                case 2: {
                    const auto pid = below(3);
                    cell->free_leases_of(pid);
                    std::erase_if(model.leases, [&](const auto& lease) { return lease.pid == pid; });
                    break;
                }
                default:
                    now += below(10);
                    if (choice < 11 || flights.empty()) {
                        const auto pid = below(3);
                        const auto admission = cell->admit(model.rules, now, pid);
                        REQUIRE(admission.admitted == model.admit(step, now, pid));
                        made = admission.transition;
                        if (admission.admitted)
                            flights.push_back({admission.ticket, model.generation, step});
                        else
                            REQUIRE(admission.retry_after_ms > 0);
                        break;
                    }
                    std::swap(flights[below(static_cast<std::uint32_t>(flights.size()))], flights.back());
                    const auto outcome =
                        below(100) >= bad_percent ? Outcome::success : static_cast<Outcome>(1 + below(3));
                    const auto& flight = flights.back();
                    made = cell->record(model.rules, flight.ticket, outcome, now);
                    if (model.record(flight.number, flight.generation, outcome, now)) {
                        REQUIRE(made);
                        REQUIRE(made->open_ms >= model.rules.reset_ms);
                        REQUIRE(made->open_ms <= model.rules.reset_ms + model.rules.reset_ms / 10);
                        model.until = now + made->open_ms;
                    }
                    flights.pop_back();
            }
            REQUIRE(made.has_value() == (before != model.state));
            if (made) REQUIRE((made->from == before && made->to == model.state));
            model.forget(now);
            const bool due = model.state == BreakerState::open && model.force == BreakerForce::automatic &&
                             now >= model.until;
            REQUIRE(cell->state(now) == (due ? BreakerState::half_open : model.state));
            REQUIRE(cell->status(now).generation == model.generation);
            REQUIRE(cell->status(now).force == model.force);
            if (model.rules.failure_percent + model.rules.slow_percent > 0) {
                const auto window = cell->window(model.rules, now);
                REQUIRE(window.calls == model.calls.size());
                REQUIRE(window.failed == model.count(Outcome::failure));
                REQUIRE(window.slow == model.count(Outcome::slow));
            }
        }
    }
}
