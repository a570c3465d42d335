// tests/ipc/scoreboard_test.cpp: memory that outlives who wrote it.
#include "ipc/scoreboard.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

TEST_CASE("a child's counters and request in flight are read after its death", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    REQUIRE(board);
    const pid_t child = ::fork();
    if (child == 0) {
        board->row(1).loop.requests.add(41);
        board->row(1).loop.requests.add();
        board->row(1).loop.in_flight.begin("GET /crash?x=1");
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(board->row(1).loop.requests.get() == 42);
    CHECK(board->row(1).loop.in_flight.text() == "GET /crash?x=1");
    CHECK(board->row(0).loop.requests.get() == 0);
    CHECK(board->row(0).loop.in_flight.text().empty());
}

TEST_CASE("rows are taken and given back, and their counters go on", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    const auto me = static_cast<std::uint32_t>(::getpid());
    REQUIRE(board->take(me) == 0u);
    REQUIRE(board->take(me) == 1u);
    board->row(0).loop.requests.add(5);
    CHECK(board->row(0).since_taken().requests == 5);
    board->give_back(0);
    REQUIRE(board->take(me) == 0u);
    CHECK(board->row(0).since_taken().requests == 0);
    board->row(0).loop.requests.add(2);
    CHECK(board->row(0).since_taken().requests == 2);
    CHECK(board->totals().requests == 7);
    CHECK(board->rows_used() == 2);
}

TEST_CASE("rows of a master that is no more are free", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(board->take(static_cast<std::uint32_t>(::getpid())) == 0u ? 0 : 1);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    CHECK(board->row(0).owner.load() == static_cast<std::uint64_t>(child));
    CHECK(board->take(static_cast<std::uint32_t>(::getpid())) == 0u);
}

TEST_CASE("a scoreboard is adopted with all that is in it, one of another layout is not", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    CHECK(board->add_route("site") == 1);
    CHECK(board->add_route("api") == 2);
    CHECK(board->add_route("site") == 1);
    board->row(7).loop.accepted.add(3);
    auto adopted = ipc::Scoreboard::adopt(ipc::UniqueFd(::dup(board->fd())));
    REQUIRE(adopted);
    CHECK(adopted->row(7).loop.accepted.get() == 3);
    CHECK(adopted->route("api") == 2);
    CHECK(adopted->route("nobody") == 0);
    CHECK(adopted->route_name(2) == "api");

    ipc::UniqueFd other(::memfd_create("other", MFD_CLOEXEC));
    REQUIRE(::ftruncate(other.get(), 4096) == 0);
    CHECK_FALSE(ipc::Scoreboard::adopt(std::move(other)));
    const std::uint32_t next = ipc::scoreboard_layout + 1;
    REQUIRE(::pwrite(board->fd(), &next, sizeof next, 8) == sizeof next);
    CHECK_FALSE(ipc::Scoreboard::adopt(ipc::UniqueFd(::dup(board->fd()))));
}

TEST_CASE("routes beyond the bound are counted together", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    for (std::size_t count = 1; count < ipc::routes_max; ++count)
        CHECK(board->add_route("r" + std::to_string(count)) == count);
    CHECK(board->add_route("one more") == 0);
}

TEST_CASE("durations fall into buckets that double", "[ipc]") {
    CHECK(ipc::Histogram::bucket_of(0) == 0);
    CHECK(ipc::Histogram::bucket_of(127) == 0);
    CHECK(ipc::Histogram::bucket_of(128) == 1);
    CHECK(ipc::Histogram::bound_us(0) == 128);
    for (std::size_t bucket = 0; bucket + 1 < ipc::Histogram::buckets; ++bucket) {
        CHECK(ipc::Histogram::bucket_of(ipc::Histogram::bound_us(bucket) - 1) == bucket);
        CHECK(ipc::Histogram::bucket_of(ipc::Histogram::bound_us(bucket)) == bucket + 1);
    }
    CHECK(ipc::Histogram::bucket_of(~std::uint64_t{0}) == ipc::Histogram::buckets - 1);
}

TEST_CASE("a crash note is the first one written, until it is cleared", "[ipc]") {
    ipc::CrashNote note;
    CHECK(note.signal().number == 0);
    std::array<void*, 2> stack{&note, nullptr};
    note.write({.number = 11, .code = 1, .address = 0x10, .system_call = -1}, stack);
    note.write({.number = 6, .code = 0, .address = 0, .system_call = -1}, {});
    CHECK(note.signal().number == 11);
    CHECK(note.signal().address == 0x10);
    std::array<void*, ipc::CrashNote::frames_max> frames{};
    REQUIRE(note.frames(frames) == 2);
    CHECK(frames[0] == &note);
    note.clear();
    CHECK(note.signal().number == 0);
    CHECK(note.frames(frames) == 0);
}

TEST_CASE("a moved scoreboard keeps its memory", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    board->row(0).loop.accepted.add(3);
    ipc::Scoreboard moved = std::move(*board);
    CHECK(moved.row(0).loop.accepted.get() == 3);
}

TEST_CASE("a request in flight ends, is cut at its bound, and shows printable characters only", "[ipc]") {
    ipc::InFlight flight;
    flight.begin("GET /a");
    flight.end();
    CHECK(flight.text().empty());
    flight.begin("GET /\r\n\x1b[31m\xff\x7f");
    CHECK(flight.text() == "GET /???[31m??");
    for (std::size_t length = 0; length < 300; ++length) {
        const std::string target = "/" + std::string(length, 'y');
        flight.begin("POST " + target);
        CHECK(flight.text() == ("POST " + target).substr(0, ipc::InFlight::text_max));
    }
    flight.begin(std::string(500, 'M') + " /never");
    CHECK(flight.text() == std::string(ipc::InFlight::text_max, 'M'));
}

TEST_CASE("a reader beside a busy writer sees whole requests or at worst a printable mixture", "[ipc]") {
    ipc::InFlight flight;
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (int turn = 0; turn < 20'000; ++turn) {
            flight.begin("GET " + (turn % 2 == 0 ? std::string(100, 'a') : std::string(60, 'b')));
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

TEST_CASE("peers are added once each, by upstream and address, and found by all who map the board", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    CHECK(board->peers_used() == 1);
    CHECK(board->add_peer("app", "127.0.0.1:9000") == 1);
    CHECK(board->add_peer("app", "127.0.0.1:9001") == 2);
    CHECK(board->add_peer("api", "127.0.0.1:9000") == 3);
    CHECK(board->add_peer("app", "127.0.0.1:9000") == 1);
    CHECK(board->peers_used() == 4);
    CHECK(board->peer_cell(3).name.get() == "api/127.0.0.1:9000");
    board->peer_cell(2).ejections.add_shared();
    board->row(5).peers[2].calls.add(7);
    const auto adopted = ipc::Scoreboard::adopt(ipc::UniqueFd(::dup(board->fd())));
    REQUIRE(adopted);
    CHECK(adopted->peer("app", "127.0.0.1:9001") == 2);
    CHECK(adopted->peer("app", "127.0.0.1:9002") == 0);
    CHECK(adopted->peer("ap", "p/127.0.0.1:9000") == 0);
    CHECK(adopted->peer_cell(2).ejections.get() == 1);
    CHECK(adopted->row(5).peers[2].calls.get() == 7);
}

TEST_CASE("peers beyond the bound are not known, and those known stay", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    for (std::size_t count = 1; count < ipc::peers_max; ++count)
        CHECK(board->add_peer("u", std::to_string(count)) == count);
    CHECK(board->add_peer("u", "one more") == 0);
    CHECK(board->peer("u", "one more") == 0);
    CHECK(board->add_peer("u", "7") == 7);
    CHECK(board->peers_used() == ipc::peers_max);
}

TEST_CASE("peers whose names are long, or not ASCII, are told apart and added once", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    const std::string folder = "unix:/" + std::string(100, 'x');
    const std::string upstream = std::string(40, 'u');
    CHECK(board->add_peer(upstream, folder + "1") == 1);
    CHECK(board->add_peer(upstream, folder + "2") == 2);
    CHECK(board->add_peer(upstream, folder + "1") == 1);
    CHECK(board->add_peer("u", "unix:/b\xc3\xbc") == 3);
    CHECK(board->add_peer("u", "unix:/b\xc3\xa4") == 4);
    CHECK(board->add_peer("u", "unix:/b\xc3\xbc") == 3);
    CHECK(board->peer("u", "unix:/b\xc3\xa4") == 4);
    CHECK(board->peer("u", "unix:/b??") == 0);
}

TEST_CASE("the calls of a row end with its worker, and what it counted stays", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    const auto peer = board->add_peer("u", "a");
    const auto me = static_cast<std::uint32_t>(::getpid());
    REQUIRE(board->take(me) == 0u);
    REQUIRE(board->take(me) == 1u);
    for (std::uint32_t row = 0; row < 2; ++row) {
        board->row(row).peers[peer].active.add(3);
        board->row(row).peers[peer].calls.add(5);
    }
    board->end_calls(0);
    CHECK(board->row(0).peers[peer].active.get() == 0);
    CHECK(board->row(0).peers[peer].calls.get() == 5);
    CHECK(board->row(1).peers[peer].active.get() == 3);
    board->give_back(1);
    CHECK(board->row(1).peers[peer].active.get() == 0);
    CHECK(board->row(1).peers[peer].calls.get() == 5);
}

TEST_CASE("a row that is taken over from a dead master has no calls under way", "[ipc]") {
    auto board = ipc::Scoreboard::make();
    const auto peer = board->add_peer("u", "a");
    const pid_t child = ::fork();
    if (child == 0) {
        const auto row = board->take(static_cast<std::uint32_t>(::getpid()));
        board->row(*row).peers[peer].active.add(2);
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(board->take(static_cast<std::uint32_t>(::getpid())) == 0u);
    CHECK(board->row(0).peers[peer].active.get() == 0);
}

TEST_CASE("every failure of a call has a name of its own", "[ipc]") {
    std::vector<std::string_view> names;
    for (std::size_t kind = 0; kind < ipc::call_failures; ++kind)
        names.push_back(ipc::name(static_cast<ipc::CallFailure>(kind)));
    CHECK(names == std::vector<std::string_view>{"connect", "connect_timeout", "send_timeout", "read_timeout",
                                                 "reset", "malformed", "status"});
}
