// tests/ipc/seat_transfer_test.cpp: a seat arrives as it was sent, or not at all.
#include "ipc/seat_transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <numeric>

namespace {

using namespace std::chrono_literals;

ipc::UniqueFd descriptor() { return ipc::UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)); }

/// Both ends of a channel, and a board.
struct Transfer {
    Transfer() {
        auto ends = ipc::Channel::pair();
        REQUIRE(ends);
        ours = std::move(ends->first);
        theirs = std::move(ends->second);
        auto made = ipc::Scoreboard::make();
        REQUIRE(made);
        board = std::make_unique<ipc::Scoreboard>(std::move(*made));
    }
    auto receive(std::chrono::milliseconds limit = 10s) {
        return ipc::receive_seat(std::move(theirs), *board, limit);
    }

    ipc::Channel ours{ipc::UniqueFd()}, theirs{ipc::UniqueFd()};
    std::unique_ptr<ipc::Scoreboard> board;
};

}  // namespace

TEST_CASE("a seat arrives with all its rows, logs and sockets, in their order", "[ipc][preload]") {
    Transfer transfer;
    std::vector<std::uint32_t> rows(ipc::numbers_max + 3);
    std::iota(rows.begin(), rows.end(), 5u);
    const auto fd = descriptor();
    const std::vector<int> logs(ipc::Channel::descriptors_max + 1, fd.get());
    for (const auto& part : ipc::seat_parts(rows, logs))
        REQUIRE(transfer.ours.send(part.message, part.descriptors));
    REQUIRE(transfer.ours.send(ipc::SeatSockets{.address = 1, .queue = 6, .blocking = 0},
                               std::array{fd.get(), fd.get()}));
    REQUIRE(
        transfer.ours.send(ipc::SeatSockets{.address = 2, .queue = 6, .blocking = 1}, std::array{fd.get()}));
    REQUIRE(transfer.ours.send(ipc::SeatWhole{.slot = 3, .started = 1, .level = 1}, std::array{fd.get()}));
    const auto received = transfer.receive();
    REQUIRE(received);
    const auto& seat = received->seat;
    CHECK(seat.slot == 3);
    CHECK(seat.started);
    CHECK(seat.log_level == 1);
    CHECK(seat.access_logs.size() == logs.size());
    REQUIRE(seat.crew.size() == rows.size());
    for (std::size_t index = 0; index < rows.size(); ++index)
        CHECK(seat.crew[index] == &transfer.board->row(rows[index]));
    CHECK(seat.cell == seat.crew.front());
    CHECK(seat.scoreboard == transfer.board.get());
    REQUIRE(seat.listeners.size() == 3);
    CHECK(seat.listeners[1].address == 1);
    CHECK(seat.listeners[1].queue == 7);
    CHECK(seat.listeners[1].loop == 1);
    CHECK_FALSE(seat.listeners[1].blocking);
    CHECK(seat.listeners[2].address == 2);
    CHECK(seat.listeners[2].queue == 6);
    CHECK(seat.listeners[2].blocking);
    CHECK(received->error_log);
    CHECK(transfer.ours.send(ipc::Stop{}));  // it has the channel, too
}

TEST_CASE("a seat without an error log is one that says all to standard error", "[ipc][preload]") {
    Transfer transfer;
    REQUIRE(transfer.ours.send(ipc::SeatRows{.rows = {0}}));
    REQUIRE(transfer.ours.send(ipc::SeatWhole{}));
    const auto received = transfer.receive();
    REQUIRE(received);
    CHECK_FALSE(received->error_log);
    CHECK_FALSE(received->seat.started);
    CHECK(received->seat.listeners.empty());
}

TEST_CASE("what is not a whole seat is refused", "[ipc][preload]") {
    Transfer transfer;
    SECTION("the master goes") {
        REQUIRE(transfer.ours.send(ipc::SeatRows{.rows = {0}}));
        transfer.ours = ipc::Channel(ipc::UniqueFd());
    }
    SECTION("a row that there is not") {
        REQUIRE(transfer.ours.send(ipc::SeatRows{.rows = {ipc::Scoreboard::rows_max}}));
    }
    SECTION("no row") { REQUIRE(transfer.ours.send(ipc::SeatWhole{})); }
    SECTION("something else") { REQUIRE(transfer.ours.send(ipc::Serve{})); }
    CHECK_FALSE(transfer.receive());
}

TEST_CASE("a seat that does not come is not waited for without end", "[ipc][preload]") {
    Transfer transfer;
    REQUIRE(transfer.ours.send(ipc::SeatRows{.rows = {0}}));
    const auto received = transfer.receive(30ms);
    REQUIRE_FALSE(received);
    CHECK(received.error().text() == "the seat does not come");
}
