// tests/ipc/scoreboard_test.cpp: memory that outlives who wrote it.
#include "ipc/scoreboard.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

TEST_CASE("a child's counters and request in flight are read after its death", "[ipc]") {
    auto board = ipc::Scoreboard::make(2);
    REQUIRE(board);
    const pid_t child = ::fork();
    if (child == 0) {
        board->worker(1).loop.requests.add(41);
        board->worker(1).loop.requests.add();
        board->worker(1).loop.in_flight.begin("GET", "/crash?x=1");
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(board->worker(1).loop.requests.get() == 42);
    CHECK(board->worker(1).loop.in_flight.text() == "GET /crash?x=1");
    CHECK(board->worker(0).loop.requests.get() == 0);
    CHECK(board->worker(0).loop.in_flight.text().empty());
}

TEST_CASE("a scoreboard of no slots is refused", "[ipc]") { CHECK_FALSE(ipc::Scoreboard::make(0)); }

TEST_CASE("a moved scoreboard keeps its memory", "[ipc]") {
    auto board = ipc::Scoreboard::make(1);
    board->worker(0).loop.accepted.add(3);
    ipc::Scoreboard moved = std::move(*board);
    CHECK(moved.slots() == 1);
    CHECK(moved.worker(0).loop.accepted.get() == 3);
}

TEST_CASE("a request in flight ends, is cut at its bound, and shows printable characters only", "[ipc]") {
    ipc::InFlight flight;
    flight.begin("GET", "/a");
    flight.end();
    CHECK(flight.text().empty());
    flight.begin("GET", "/\r\n\x1b[31m\xff\x7f");
    CHECK(flight.text() == "GET /???[31m??");
    for (std::size_t length = 0; length < 300; ++length) {
        const std::string target = "/" + std::string(length, 'y');
        flight.begin("POST", target);
        CHECK(flight.text() == ("POST " + target).substr(0, ipc::InFlight::text_max));
    }
    flight.begin(std::string(500, 'M'), "/never");
    CHECK(flight.text() == std::string(ipc::InFlight::text_max, 'M'));
}

TEST_CASE("a reader beside a busy writer sees whole requests or at worst a printable mixture", "[ipc]") {
    ipc::InFlight flight;
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (int turn = 0; turn < 20'000; ++turn) {
            flight.begin("GET", turn % 2 == 0 ? std::string(100, 'a') : std::string(60, 'b'));
            if (turn % 3 == 0) flight.end();
        }
        done = true;
    });
    while (!done) {
        const auto text = flight.text();
        CHECK(text.size() <= ipc::InFlight::text_max);
        CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    }
    writer.join();
}

TEST_CASE("gauges go down again", "[ipc]") {
    ipc::Counter open;
    open.add(3);
    open.subtract();
    CHECK(open.get() == 2);
    open.set(0);
    CHECK(open.get() == 0);
}
