#include "worker/observe/program_log.h"

#include "tests/worker/turn.h"

using worker::observe::ProgramLog;

namespace {

std::vector<std::string> lines_of(const Logged& logged) {
    std::vector<std::string> all;
    std::istringstream text(logged.text());
    for (std::string line; std::getline(text, line);) all.push_back(line.substr(line.find("program says")));
    return all;
}

const ProgramLog::About about{.peer = "127.0.0.1:9000", .request = "GET /a", .id = "77"};

}  // namespace

TEST_CASE("what a program says aside is told in lines, with its request", "[fastcgi][log]") {
    const worker::execution::Clock clock;
    ProgramLog log("route", "r", clock);
    ProgramLog::Lines lines;
    Logged logged;
    log.add(lines, "one\r\ntw", about);
    log.add(lines, "o\n\n", about);
    log.add(lines, "\x1b[31mthree", about);
    log.end(lines, about);
    log.end(lines, about);
    const auto all = lines_of(logged);
    REQUIRE(all.size() == 3);
    CHECK(all[0] ==
          "program says route=r peer=127.0.0.1:9000 id=\"77\" request=\"GET /a\" text=\"one\" more_untold=0");
    CHECK(all[1].find("text=\"two\"") != std::string::npos);
    CHECK(all[2].find("text=\"\\x1b[31mthree\"") != std::string::npos);
}

TEST_CASE("a line that never ends is cut, and holds no more memory than a line", "[fastcgi][log]") {
    const worker::execution::Clock clock;
    ProgramLog log("route", "r", clock);
    ProgramLog::Lines lines;
    Logged logged;
    for (int i = 0; i < 1000; ++i) log.add(lines, std::string(1000, 'x'), about);
    CHECK(lines.begun.size() == 2048);
    log.add(lines, "\nnext\n", about);
    const auto all = lines_of(logged);
    REQUIRE(all.size() == 2);
    CHECK(all[0].find(std::string(2048, 'x') + "\" cut=yes") != std::string::npos);
    CHECK(all[1].find("text=\"next\" more") != std::string::npos);
}

TEST_CASE("a request has so many lines, and what is not told is counted", "[fastcgi][log]") {
    const worker::execution::Clock clock;
    ProgramLog log("route", "r", clock);
    ProgramLog::Lines first, second;
    Logged logged;
    for (int i = 0; i < 70; ++i) log.add(first, "line\n", about);
    log.end(first, about);
    CHECK(lines_of(logged).size() == 64);
    log.add(second, "another\n", about);
    REQUIRE(lines_of(logged).size() == 65);
    CHECK(lines_of(logged).back().ends_with("text=\"another\" more_untold=6"));
    for (int i = 0; i < 70; ++i) log.add(second, "line\n", about);
    CHECK(lines_of(logged).size() == 100);  // of all requests together
}
