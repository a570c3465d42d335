// tests/ipc/health_test.cpp: the word of a peer's health, and who may write it.
#include "ipc/health.h"

#include "ipc/scoreboard.h"

using ipc::Health;

TEST_CASE("nothing is known of a peer before its first check", "[health]") {
    const ipc::HealthCell cell;
    CHECK(cell.state() == Health::unknown);
    CHECK_FALSE(cell.is_down());
    CHECK(cell.changed_ms() == 0);
    CHECK(cell.checked_ms() == 0);
    CHECK(cell.reason().empty());
}

TEST_CASE("a change is remembered with its time, and its reason until the peer is up", "[health]") {
    ipc::HealthCell cell;
    cell.passed(10, 5);
    cell.change(Health::up, 10);
    CHECK(cell.recovered_ms() == 0);  // it was not down
    cell.failed(20, 700, "status 503");
    CHECK(cell.state() == Health::up);
    cell.change(Health::down, 20);
    CHECK(cell.is_down());
    CHECK(cell.changed_ms() == 20);
    CHECK(cell.latency_us() == 700);
    cell.passed(30, 6);
    CHECK(cell.reason() == "status 503");
    cell.change(Health::up, 31);
    CHECK(cell.reason().empty());
    CHECK(cell.recovered_ms() == 31);
    CHECK(cell.checked_ms() == 30);
    CHECK((cell.checks_passed() == 2 && cell.checks_failed() == 1));
    cell.forget();
    CHECK(cell.state() == Health::unknown);
    CHECK(cell.recovered_ms() == 0);
    CHECK(cell.checks_failed() == 1);
}

TEST_CASE("the right to check is the newest term's", "[health]") {
    ipc::HealthLease lease;
    CHECK_FALSE(lease.held_by(1));
    CHECK(lease.hold(1, 1000));
    CHECK(lease.hold(2, 1001));
    CHECK_FALSE(lease.held_by(1));
    CHECK_FALSE(lease.hold(1, 1001));
    CHECK_FALSE(lease.hold(1, 1000 + lease.life_ms));
    CHECK(lease.hold(2, 1500));
    CHECK(lease.held_by(2));
}

TEST_CASE("each term that is drawn is newer than all before", "[health]") {
    ipc::HealthLease lease;
    const auto first = lease.draw(), second = lease.draw();
    CHECK(second > first);
    REQUIRE(lease.hold(second, 1000));
    CHECK_FALSE(lease.hold(first, 1001));
    CHECK(lease.hold(lease.draw(), 1001));
}

TEST_CASE("an older generation goes on when the newest has died or left", "[health]") {
    ipc::HealthLease lease;
    REQUIRE(lease.hold(7, 1000));
    CHECK_FALSE(lease.hold(6, 999 + lease.life_ms));
    CHECK(lease.hold(6, 1000 + lease.life_ms));
    REQUIRE(lease.hold(7, 5000));
    lease.release(6);  // not its own
    CHECK(lease.held_by(7));
    lease.release(7);
    CHECK(lease.hold(6, 5001));
}

TEST_CASE("what is known of a peer outlives those who found out", "[health]") {
    auto board = ipc::Scoreboard::make();
    REQUIRE(board);
    const auto index = board->add_peer("u", "127.0.0.1:1");
    board->peer_cell(index).health.failed(5, 1, "Connection refused");
    board->peer_cell(index).health.change(Health::down, 5);
    auto again = ipc::Scoreboard::adopt(ipc::UniqueFd(::dup(board->fd())));
    REQUIRE(again);
    const auto& cell = again->peer_cell(again->peer("u", "127.0.0.1:1")).health;
    CHECK(cell.is_down());
    CHECK(cell.reason() == "Connection refused");
}
