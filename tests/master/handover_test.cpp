// tests/master/handover_test.cpp: what one master writes down another understands, of whatever version.
#include "master/handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "ipc/file.h"
#include "tests/master/sockets.h"

namespace {

using conf::Accept;
using test::listen_on;

/// As the next program finds it: descriptors of its own, and the variable.
void offer_to_ourselves(const std::string& text) {
    const int file = ::memfd_create("handover", 0);
    REQUIRE(::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::setenv(master::handover_variable, std::to_string(file).c_str(), 1);
}

nlohmann::json written(const master::Offer& offer) {
    const auto file = master::write_handover(offer);
    REQUIRE(file);
    return nlohmann::json::parse(ipc::read_file(file->get()).value());
}

int duplicate(int fd) { return ::fcntl(fd, F_DUPFD, 3); }

void duplicate_sockets(nlohmann::json& json) {
    for (auto& listener : json["listeners"])
        for (auto& socket : listener["sockets"]) socket["fd"] = duplicate(socket["fd"].get<int>());
}

}  // namespace

TEST_CASE("nobody upgrades: nothing is inherited", "[upgrade]") {
    ::unsetenv(master::handover_variable);
    const auto got = master::receive_handover();
    REQUIRE(got);
    CHECK_FALSE(*got);
}

TEST_CASE("sockets are handed over in the order of their group, and the port is the same", "[upgrade]") {
    auto listeners = master::Listeners::bind({listen_on("127.0.0.1")}, Accept::reuseport, 3, {});
    REQUIRE(listeners);
    const auto& entry = listeners->all()[0];
    for (const std::uint32_t slot : {2u, 0u, 1u}) REQUIRE(entry.listener->listen(entry.socket(slot), 511));
    auto board = ipc::Scoreboard::make();
    board->row(3).loop.requests.add(41);
    auto json = written(
        {.generation = 7, .started_ms = 99, .listeners = &*listeners, .board = duplicate(board->fd())});
    duplicate_sockets(json);
    json["news"] = {{"of", "a later version"}};
    offer_to_ourselves(json.dump());

    auto got = master::receive_handover();
    REQUIRE(got);
    REQUIRE(*got);
    CHECK(::getenv(master::handover_variable) == nullptr);
    CHECK((*got)->generation == 7);
    CHECK((*got)->started_ms == 99);
    REQUIRE((*got)->board);
    CHECK((*got)->board->row(3).loop.requests.get() == 41);
    const auto port = entry.listener->address().port;
    auto next = master::Listeners::bind({listen_on("127.0.0.1")}, Accept::reuseport, 2, (*got)->listeners);
    REQUIRE(next);
    CHECK(next->all()[0].listener->address().port == port);
    CHECK(next->retired().size() == 1);
    CHECK((::fcntl(next->all()[0].socket(0)->fd.get(), F_GETFD) & FD_CLOEXEC) != 0);

    REQUIRE(next->steer({true, false}));  // the order was right when only this one gets connections
    for (int count = 0; count < 60; ++count) REQUIRE(test::connect_to(port));
    CHECK(master::Listener::pending(*next->all()[0].socket(0)) == 60u);
}

TEST_CASE("a handover of another layout is refused, and the giver is told", "[upgrade]") {
    const master::Listeners none;
    auto json = written({.listeners = &none});
    CHECK(json["layout"] == master::handover_layout);
    std::array<int, 2> report{};
    REQUIRE(::pipe(report.data()) == 0);
    const ipc::UniqueFd told(report[0]);
    json["layout"] = master::handover_layout + 1;
    json["report"] = report[1];
    offer_to_ourselves(json.dump());
    const auto got = master::receive_handover();
    REQUIRE_FALSE(got);
    CHECK(got.error().text() == "the handover is of layout 2, and this program knows 1");
    std::array<char, 100> line{};
    const auto size = ::read(told.get(), line.data(), line.size());
    REQUIRE(size > 0);
    CHECK(std::string(line.data(), static_cast<std::size_t>(size)).find("layout 2") != std::string::npos);
    CHECK(::read(told.get(), line.data(), line.size()) == 0);  // and the pipe is closed
}

TEST_CASE("a scoreboard of another layout is left aside", "[upgrade]") {
    const master::Listeners none;
    auto json = written({.listeners = &none});
    json["board"] = ::memfd_create("other", 0);
    offer_to_ourselves(json.dump());
    const auto got = master::receive_handover();
    REQUIRE(got);
    REQUIRE(*got);
    CHECK_FALSE((*got)->board);
}

TEST_CASE("a Unix socket's name stays with who has it, until it is kept", "[upgrade]") {
    const test::Folder folder;
    const auto path = folder / "s";
    auto listeners = master::Listeners::bind({listen_on(path)}, Accept::reuseport, 1, {});
    REQUIRE(listeners);
    REQUIRE(listeners->listen());
    auto json = written({.listeners = &*listeners});
    for (const bool kept : {false, true}) {
        auto again = json;
        duplicate_sockets(again);
        offer_to_ourselves(again.dump());
        {
            auto got = master::receive_handover();
            REQUIRE(got);
            REQUIRE(*got);
            (*got)->listeners.keep_files(kept);
        }
        CHECK(std::filesystem::exists(path) == !kept);
    }
}

TEST_CASE("an offer that is cut, false or not there is refused", "[upgrade]") {
    for (const char* text :
         {"", "{", "[]", "\"x\"", "{\"listeners\": 3}", "{\"listeners\": [{\"sockets\": [{}]}]}",
          "{\"listeners\": [{\"sockets\": [{\"fd\": 999999}]}]}", "{\"generation\": \"many\"}"}) {
        CAPTURE(text);
        offer_to_ourselves(text);
        CHECK_FALSE(master::receive_handover());
    }
    for (const char* value : {"", "x", "-1", "99999", "1", "7777777777777"}) {
        CAPTURE(value);
        ::setenv(master::handover_variable, value, 1);
        CHECK_FALSE(master::receive_handover());
    }
}
