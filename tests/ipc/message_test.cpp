// tests/ipc/message_test.cpp: frames survive the way there and back, and nothing else is a frame.
#include "ipc/message.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <type_traits>

namespace {

std::vector<ipc::Message> one_of_each() {
    return {ipc::Ready{.slot = 3},
            ipc::Failed{.why = "bind: denied"},
            ipc::Unready{},
            ipc::Drain{.limit_ms = 30'000},
            ipc::Stop{},
            ipc::Reopen{.request = 0xdeadbeef},
            ipc::Reopened{.request = 7},
            ipc::Adopt{.queue = 1, .listener = 2},
            ipc::Release{.queue = 9},
            ipc::Serve{},
            ipc::SetLevel{.level = 4},
            ipc::Occupied{},
            ipc::Crowded{.on = 1},
            ipc::Alone{},
            ipc::Fork{},
            ipc::Born{.pid = 4711},
            ipc::SeatRows{.rows = {1, 0xffffffff, 3}},
            ipc::SeatLogs{},
            ipc::SeatSockets{.address = 1, .queue = 2, .blocking = 1},
            ipc::SeatWhole{.slot = 5, .started = 1, .level = 0}};
}

}  // namespace

TEST_CASE("every kind of message decodes to what was encoded", "[ipc]") {
    REQUIRE(one_of_each().size() == std::variant_size_v<ipc::Message>);
    for (const auto& message : one_of_each()) {
        const auto frame = ipc::encode(message);
        const auto decoded = ipc::decode(frame);
        CAPTURE(message.index());
        REQUIRE(decoded);
        CHECK(decoded->index() == message.index());
        CHECK(ipc::encode(*decoded) == frame);
    }
    const auto adopt = ipc::decode(ipc::encode(ipc::Adopt{.queue = 1, .listener = 0x01020304}));
    CHECK(std::get<ipc::Adopt>(*adopt).listener == 0x01020304);
    const auto failed = ipc::decode(ipc::encode(ipc::Failed{.why = std::string("a\0b", 3)}));
    CHECK(std::get<ipc::Failed>(*failed).why == std::string("a\0b", 3));
}

TEST_CASE("decode refuses every frame that is cut short", "[ipc]") {
    for (const auto& message : one_of_each()) {
        const auto frame = ipc::encode(message);
        for (std::size_t size = 0; size < frame.size(); ++size) {
            CAPTURE(message.index(), size);
            CHECK_FALSE(ipc::decode(std::span(frame).first(size)));
        }
    }
}

TEST_CASE("decode refuses bytes left over, other versions and unknown kinds", "[ipc]") {
    for (const auto& message : one_of_each()) {
        auto longer = ipc::encode(message);
        longer.push_back(std::byte{0});
        CHECK_FALSE(ipc::decode(longer));
    }
    auto other = ipc::encode(ipc::Stop{});
    other[0] = std::byte{ipc::protocol_version + 1};
    CHECK_FALSE(ipc::decode(other));
    auto unknown = ipc::encode(ipc::Stop{});
    for (const int kind : {0, 11, 99, 255}) {
        unknown[1] = static_cast<std::byte>(kind);
        CHECK_FALSE(ipc::decode(unknown));
    }
}

TEST_CASE("numbers travel little-endian", "[ipc]") {
    const auto frame = ipc::encode(ipc::Drain{.limit_ms = 0x0a0b0c0d});
    const std::vector<std::byte> expected{std::byte{1},    std::byte{4},    std::byte{0x0d},
                                          std::byte{0x0c}, std::byte{0x0b}, std::byte{0x0a}};
    CHECK(frame == expected);
}

TEST_CASE("a text that is too long loses its end, never the frame", "[ipc]") {
    const auto frame = ipc::encode(ipc::Failed{.why = std::string(100'000, 'x')});
    CHECK(frame.size() <= ipc::frame_bytes_max);
    const auto decoded = ipc::decode(frame);
    REQUIRE(decoded);
    CHECK(std::get<ipc::Failed>(*decoded).why == std::string(ipc::text_bytes_max, 'x'));
}

TEST_CASE("a list of numbers that is too long loses its end, never the frame", "[ipc]") {
    const auto frame = ipc::encode(ipc::SeatRows{.rows = std::vector<std::uint32_t>(10'000, 7)});
    CHECK(frame.size() <= ipc::frame_bytes_max);
    const auto decoded = ipc::decode(frame);
    REQUIRE(decoded);
    CHECK(std::get<ipc::SeatRows>(*decoded).rows == std::vector<std::uint32_t>(ipc::numbers_max, 7));
}

TEST_CASE("what the fuzzer knows decodes to what encodes to the same bytes, or not at all", "[ipc]") {
    int decoded = 0;
    for (const auto& entry : std::filesystem::directory_iterator("tests/fuzz/corpus/frame_fuzz")) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        const auto frame = std::as_bytes(std::span(bytes));
        const auto message = ipc::decode(frame);
        if (!message) continue;
        ++decoded;
        CAPTURE(entry.path());
        CHECK(std::ranges::equal(ipc::encode(*message), frame));
    }
    CHECK(decoded > 0);
}
