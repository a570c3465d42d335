#include "worker/handler/program_log.h"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

using worker::handler::ProgramLog;

namespace {

/// What is logged while it lives.
class Logged {
 public:
    Logged() : before_(spdlog::default_logger()) {
        auto logger =
            std::make_shared<spdlog::logger>("t", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
        logger->set_pattern("%v");
        spdlog::set_default_logger(logger);
    }
    ~Logged() { spdlog::set_default_logger(before_); }
    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> all;
        std::istringstream text(text_.str());
        for (std::string line; std::getline(text, line);) all.push_back(line);
        return all;
    }

 private:
    std::ostringstream text_;
    std::shared_ptr<spdlog::logger> before_;
};

const ProgramLog::About about{.peer = "127.0.0.1:9000", .request = "GET /a", .id = "77"};

}  // namespace

TEST_CASE("what a program says aside is told in lines, with its request", "[fastcgi][log]") {
    const worker::execution::Clock clock;
    ProgramLog log("r", clock);
    ProgramLog::Lines lines;
    Logged logged;
    log.add(lines, "one\r\ntw", about);
    log.add(lines, "o\n\n", about);
    log.add(lines, "\x1b[31mthree", about);
    log.end(lines, about);
    log.end(lines, about);
    const auto all = logged.lines();
    REQUIRE(all.size() == 3);
    CHECK(all[0] ==
          "program says route=r peer=127.0.0.1:9000 id=\"77\" request=\"GET /a\" text=\"one\" more_untold=0");
    CHECK(all[1].find("text=\"two\"") != std::string::npos);
    CHECK(all[2].find("text=\"\\x1b[31mthree\"") != std::string::npos);
}

TEST_CASE("a line that never ends is cut, and holds no more memory than a line", "[fastcgi][log]") {
    const worker::execution::Clock clock;
    ProgramLog log("r", clock);
    ProgramLog::Lines lines;
    Logged logged;
    for (int i = 0; i < 1000; ++i) log.add(lines, std::string(1000, 'x'), about);
    CHECK(lines.begun.size() == 2048);
    log.add(lines, "\nnext\n", about);
    const auto all = logged.lines();
    REQUIRE(all.size() == 2);
    CHECK(all[0].find(std::string(2048, 'x') + "\" cut=yes") != std::string::npos);
    CHECK(all[1].find("text=\"next\" more") != std::string::npos);
}

TEST_CASE("a request has so many lines, and what is not told is counted", "[fastcgi][log]") {
    const worker::execution::Clock clock;
    ProgramLog log("r", clock);
    ProgramLog::Lines first, second;
    Logged logged;
    for (int i = 0; i < 70; ++i) log.add(first, "line\n", about);
    log.end(first, about);
    CHECK(logged.lines().size() == 64);
    log.add(second, "another\n", about);
    REQUIRE(logged.lines().size() == 65);
    CHECK(logged.lines().back().ends_with("text=\"another\" more_untold=6"));
    for (int i = 0; i < 70; ++i) log.add(second, "line\n", about);
    CHECK(logged.lines().size() == 100);  // of all requests together
}
