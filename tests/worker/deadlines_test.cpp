#include "worker/execution/deadlines.h"

using worker::execution::Deadline;
using worker::execution::Deadlines;

namespace {

class Bell final : public Deadline {
 public:
    int rung = 0;

 private:
    void on_deadline() noexcept override { ++rung; }
};

constexpr std::uint64_t start = 1'000'000;
constexpr std::uint64_t late_max = 2 * Deadlines::tick_ms;

/// Goes on a tick at a time; returns when the bell rang, 0: not by `until`.
std::uint64_t rings_at(Deadlines& deadlines, const Bell& bell, std::uint64_t from, std::uint64_t until) {
    for (std::uint64_t now = from; now <= until; now += Deadlines::tick_ms) {
        deadlines.advance(now);
        if (bell.rung > 0) return now;
    }
    return 0;
}

}  // namespace

TEST_CASE("a deadline is called once, never early, and at most two ticks late", "[execution]") {
    for (const std::uint64_t after : {1u, 99u, 100u, 101u, 5'000u, 102'300u, 102'500u, 400'000u}) {
        CAPTURE(after);
        Deadlines deadlines(start);
        Bell bell;
        deadlines.arm(bell, start + after);
        const std::uint64_t at = rings_at(deadlines, bell, start, start + after + 10 * late_max);
        CHECK(at >= start + after);
        CHECK(at <= start + after + late_max);
        CHECK_FALSE(bell.armed());
        deadlines.advance(at + 300'000);
        CHECK(bell.rung == 1);
    }
}

TEST_CASE("a deadline that is moved later is not called at the old time", "[execution]") {
    Deadlines deadlines(start);
    Bell bell;
    deadlines.arm(bell, start + 1'000);
    deadlines.advance(start + 900);
    deadlines.arm(bell, start + 5'000);
    CHECK(rings_at(deadlines, bell, start + 1'000, start + 4'900) == 0);
    CHECK(rings_at(deadlines, bell, start + 5'000, start + 6'000) <= start + 5'000 + late_max);
    CHECK(bell.rung == 1);
}

TEST_CASE("a deadline that is moved earlier is called at the new time", "[execution]") {
    Deadlines deadlines(start);
    Bell bell;
    deadlines.arm(bell, start + 60'000);
    deadlines.arm(bell, start + 500);
    const std::uint64_t at = rings_at(deadlines, bell, start, start + 2'000);
    CHECK(at >= start + 500);
    CHECK(at <= start + 500 + late_max);
}

TEST_CASE("what is disarmed or gone is not called", "[execution]") {
    Deadlines deadlines(start);
    Bell disarmed;
    deadlines.arm(disarmed, start + 100);
    disarmed.disarm();
    {
        Bell gone;
        deadlines.arm(gone, start + 100);
    }
    deadlines.advance(start + 10'000);
    CHECK(disarmed.rung == 0);
}

TEST_CASE("after a long pause every deadline that has passed is called", "[execution]") {
    Deadlines deadlines(start);
    std::vector<Bell> bells(50);
    for (std::size_t i = 0; i < bells.size(); ++i) deadlines.arm(bells[i], start + 1 + i * 10'000);
    deadlines.advance(start + 3'600'000);
    for (const Bell& bell : bells) CHECK(bell.rung == 1);
}
