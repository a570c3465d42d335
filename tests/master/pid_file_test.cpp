// tests/master/pid_file_test.cpp: one instance at a time, and litter stops nobody.
#include "master/pid_file.h"

#include <sys/wait.h>

#include <fstream>

#include "tests/master/sockets.h"

namespace {

std::string contents(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

}  // namespace

TEST_CASE("a second instance is refused and told who holds the lock", "[master]") {
    const test::Folder folder;
    const auto path = folder / "pid";
    auto first = master::PidFile::lock(path);
    REQUIRE(first);
    const auto early = master::PidFile::lock(path);
    REQUIRE_FALSE(early);
    CHECK(early.error().text().find("still starting") != std::string::npos);

    REQUIRE(first->write());
    CHECK(contents(path) == std::to_string(::getpid()));
    const auto second = master::PidFile::lock(path);
    REQUIRE_FALSE(second);
    CHECK(second.error().text() ==
          "already running as pid " + std::to_string(::getpid()) + ": pid file " + path + " is locked");
    CHECK(contents(path) == std::to_string(::getpid()));
}

TEST_CASE("a stale pid file, whatever is in it, is taken over and removed at the end", "[master]") {
    const test::Folder folder;
    const auto path = folder / "pid";
    std::ofstream(path) << GENERATE("1\n", "", "not a number", "999999999999999999999999");
    {
        auto file = master::PidFile::lock(path);
        REQUIRE(file);
        CHECK(contents(path).empty());
        REQUIRE(file->write());
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the lock outlives a child that had inherited it, and ends with its holder", "[master]") {
    const test::Folder folder;
    const auto path = folder / "pid";
    {
        const auto file = master::PidFile::lock(path);
        REQUIRE(file);
        const pid_t child = ::fork();
        if (child == 0) ::_exit(0);
        REQUIRE(::waitpid(child, nullptr, 0) == child);
        CHECK_FALSE(master::PidFile::lock(path));
    }
    CHECK(master::PidFile::lock(path));
}

TEST_CASE("a pid file that another has replaced is left alone", "[master]") {
    const test::Folder folder;
    const auto path = folder / "pid";
    {
        const auto file = master::PidFile::lock(path);
        REQUIRE(file);
        std::filesystem::remove(path);
        std::ofstream(path) << "other";
    }
    CHECK(contents(path) == "other");
}

TEST_CASE("a pid file that cannot be made is an error with its path", "[master]") {
    const auto refused = master::PidFile::lock("/nonexistent-folder/pid");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text() == "open pid file /nonexistent-folder/pid: No such file or directory");
}
