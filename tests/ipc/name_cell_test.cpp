// tests/ipc/name_cell_test.cpp: addresses in shared memory are whole, or not there.
#include "ipc/name_cell.h"

#include <atomic>
#include <thread>
#include <vector>

#include "ipc/scoreboard.h"
#include "ipc/upstream_report.h"

namespace {

ipc::NameAddress v4(std::uint8_t last) {
    return {.bytes = {10, 0, 0, last}, .port = 80, .family = 4, .backup = 0, .weight = 1};
}

}  // namespace

TEST_CASE("a cell that nobody wrote has nothing to read", "[dns]") {
    const ipc::NameCell cell;
    CHECK(cell.version() == 0);
    CHECK_FALSE(cell.read());
}

TEST_CASE("what was written reads the same, and places behind it are empty", "[dns]") {
    ipc::NameCell cell;
    cell.write(std::vector{v4(1), ipc::NameAddress{}, v4(3)});
    const auto before = cell.version();
    auto places = cell.read();
    REQUIRE(places);
    CHECK((*places)[0] == v4(1));
    CHECK_FALSE((*places)[1]);
    CHECK((*places)[2].text() == "10.0.0.3:80");
    CHECK_FALSE((*places)[3]);
    CHECK(cell.addresses.get() == 2);
    cell.write({});
    CHECK(cell.version() != before);
    CHECK_FALSE((*cell.read())[0]);
    CHECK(cell.addresses.get() == 0);
}

TEST_CASE("addresses read as they are written in a configuration", "[dns]") {
    CHECK(ipc::NameAddress{}.text().empty());
    ipc::NameAddress six{.bytes = {}, .port = 8080, .family = 6, .backup = 0, .weight = 1};
    six.bytes[15] = 1;
    CHECK(six.text() == "[::1]:8080");
}

TEST_CASE("a cell whose writer died half-way is not readable, until another one writes", "[dns]") {
    ipc::NameCell cell;
    cell.write(std::vector{v4(1), v4(2)});
    // A byte of an address changes without the rest, as when a writer that has lost the right wakes up.
    auto* bytes = reinterpret_cast<unsigned char*>(&cell);
    std::size_t at = 0;
    while (at + 4 < sizeof cell && !(bytes[at] == 10 && bytes[at + 3] == 2)) ++at;
    REQUIRE(at + 4 < sizeof cell);
    bytes[at + 3] = 9;
    CHECK_FALSE(cell.read());
    cell.write(std::vector{v4(1), v4(2)});
    CHECK(cell.read());
}

TEST_CASE("a reader never sees half of a change", "[dns][thread]") {
    ipc::NameCell cell;
    std::atomic<bool> over{false};
    std::thread writer([&] {
        for (std::uint8_t round = 0; !over; ++round)
            cell.write(std::vector<ipc::NameAddress>(ipc::NameCell::places_max, v4(round)));
    });
    std::size_t read = 0;
    while (read < 2000) {
        const auto places = cell.read();
        if (!places) continue;
        ++read;
        for (const auto& one : *places)
            if (!(one == places->front())) FAIL("half of a change");
    }
    over = true;
    writer.join();
}

TEST_CASE("names and their places are found by name, and outlive who added them", "[dns]") {
    auto board = ipc::Scoreboard::make();
    REQUIRE(board);
    const auto index = board->add_name("u", "app.example:80");
    REQUIRE(index != 0);
    CHECK(board->add_name("u", "app.example:80") == index);
    CHECK(board->name("u", "app.example:81") == 0);
    board->add_places("u", "app.example:80", 2);
    const auto place = board->place("u", "app.example:80", 1);
    REQUIRE(place != 0);
    CHECK(board->place("u", "app.example:80", 2) == 0);
    CHECK(ipc::report_peers(*board, 1).empty());  // nobody stands there
    CHECK(ipc::report_names(*board, 1).empty());  // nobody has asked yet
    board->peer_cell(place).address.set("10.0.0.1:80");
    const auto peers = ipc::report_peers(*board, 1);
    REQUIRE(peers.size() == 1);
    CHECK(peers[0].place == "app.example:80#1");
    CHECK(peers[0].address == "10.0.0.1:80");
    board->name_cell(index).failures.add();
    board->name_cell(index).reason.set("no");
    const auto names = ipc::report_names(*board, 1);
    REQUIRE(names.size() == 1);
    CHECK(names[0].name == "app.example:80");
    CHECK(names[0].reason == "no");
    CHECK_FALSE(names[0].answered_ago_ms);
}
