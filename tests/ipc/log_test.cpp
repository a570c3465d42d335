// tests/ipc/log_test.cpp: one message is one line, whoever wrote it, and the file can be exchanged.
#include "ipc/log.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace {

constexpr std::int64_t some_time = 1'785'585'600'123'456'789;  // 2026-08-01T12:00:00.123Z

/// A folder of its own, and the default logger put back when it goes.
struct Folder {
    Folder() : before(spdlog::default_logger()) { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    ~Folder() {
        spdlog::set_default_logger(before);
        for (const char* name : {"/a", "/b"}) std::remove((path + name).c_str());
        ::rmdir(path.c_str());
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file(path + name);
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }
    std::string path = "/tmp/reeve-log-XXXXXX";
    std::shared_ptr<spdlog::logger> before;
};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a text line has time, level, role, pid and message", "[ipc]") {
    CHECK(ipc::log_line({}, "worker/3", 77, some_time, 3, "queue full n=1") ==
          "2026-08-01T12:00:00.123Z warn worker/3[77] queue full n=1\n");
}

TEST_CASE("no message forges a line, in neither format", "[ipc]") {
    const std::string evil = "a\nb\r\x1b[2J\x7f\"\\ \xff\xfe";
    for (const bool json : {false, true}) {
        const auto line = ipc::log_line({.json = json}, "master", 1, some_time, 2, evil);
        CAPTURE(line);
        CHECK(std::count(line.begin(), line.end(), '\n') == 1);
        CHECK(line.back() == '\n');
        CHECK(std::none_of(line.begin(), line.end() - 1,
                           [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
    }
    const auto text = ipc::log_line({}, "master", 1, some_time, 2, evil);
    CHECK(contains(text, "a\\nb\\x0d\\x1b[2J\\x7f\""));
}

TEST_CASE("a JSON line parses, whatever bytes are in it", "[ipc]") {
    const auto line = ipc::log_line({.json = true}, "worker/0", 5, some_time, 4, "say \"hi\"\n\xff");
    const auto object = nlohmann::json::parse(line);
    CHECK(object["level"] == "error");
    CHECK(object["role"] == "worker/0");
    CHECK(object["pid"] == 5);
    CHECK(object["time"] == "2026-08-01T12:00:00.123Z");
    CHECK(object["message"] == "say \"hi\"\n\xef\xbf\xbd");
}

TEST_CASE("a line is never longer than a pipe takes in one piece", "[ipc]") {
    for (const bool json : {false, true})
        for (const char filler : {'x', '\x01', '\xff'})
            for (const std::size_t size : {100u, 3839u, 3840u, 3841u, 100'000u}) {
                const auto line =
                    ipc::log_line({.json = json}, "master", 1, some_time, 2, std::string(size, filler));
                CHECK(line.size() <= 4096);
            }
}

TEST_CASE("the default logger appends to the file, from its level on", "[ipc]") {
    Folder folder;
    REQUIRE(ipc::open_log({.path = folder.path + "/a", .level = 3}, "master"));
    spdlog::info("quiet");
    spdlog::warn("loud n={}", 1);
    CHECK_FALSE(contains(folder.read("/a"), "quiet"));
    CHECK(contains(folder.read("/a"), "warn master["));
    CHECK(contains(folder.read("/a"), "] loud n=1\n"));
    CHECK(ipc::log_descriptor() >= 0);
}

TEST_CASE("opening again writes to the new file and no more to the old one", "[ipc]") {
    Folder folder;
    const ipc::LogPlan plan{.path = folder.path + "/a"};
    REQUIRE(ipc::open_log(plan, "worker/1"));
    const int number = ipc::log_descriptor();
    spdlog::info("first");
    REQUIRE(std::rename((folder.path + "/a").c_str(), (folder.path + "/b").c_str()) == 0);
    SECTION("by path") { REQUIRE(ipc::open_log(plan, "worker/1")); }
    SECTION("by descriptor, which stays the caller's") {
        const auto file = ipc::open_log_file(plan.path);
        REQUIRE(ipc::open_log(plan, "worker/1", file->get()));
    }
    spdlog::info("second");
    CHECK(ipc::log_descriptor() == number);
    CHECK_FALSE(contains(folder.read("/b"), "second"));
    CHECK(contains(folder.read("/a"), "second"));
}

TEST_CASE("a log that cannot be opened is an error and leaves the old one", "[ipc]") {
    Folder folder;
    REQUIRE(ipc::open_log({.path = folder.path + "/a"}, "master"));
    const auto failed = ipc::open_log({.path = folder.path + "/none/a"}, "master");
    REQUIRE_FALSE(failed);
    CHECK(contains(failed.error().text(), "/none/a: No such file"));
    spdlog::info("still here");
    CHECK(contains(folder.read("/a"), "still here"));
}

TEST_CASE("a disk that is full costs lines, not the process", "[ipc]") {
    Folder folder;
    REQUIRE(ipc::open_log({.path = "/dev/full"}, "master"));
    spdlog::error("lost");
    spdlog::error("lost too");
    SUCCEED();
}

TEST_CASE("a pipe that nobody reads loses lines and says how many once it is read", "[ipc]") {
    Folder folder;
    std::array<int, 2> pipe{};
    REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
    const ipc::UniqueFd reading(pipe[0]);
    const ipc::UniqueFd writing(pipe[1]);
    REQUIRE(::fcntl(writing.get(), F_SETPIPE_SZ, 8192) >= 0);
    REQUIRE(ipc::open_log({.path = "unused"}, "master", writing.get()));
    for (int line = 0; line < 4; ++line) spdlog::info("{}", std::string(3000, 'x'));
    std::array<char, 16'384> bytes{};
    REQUIRE(::read(reading.get(), bytes.data(), bytes.size()) > 6000);
    spdlog::info("fits");
    const auto size = ::read(reading.get(), bytes.data(), bytes.size());
    REQUIRE(size > 0);
    const std::string text(bytes.data(), static_cast<std::size_t>(size));
    CHECK(contains(text, "log lines were lost lines=2\n"));
    CHECK(contains(text, "] fits\n"));
}
