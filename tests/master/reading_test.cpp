// tests/master/reading_test.cpp: reading in a child, and what becomes of children that misbehave.
#include "master/reading.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "ipc/file.h"

namespace {

using namespace std::chrono_literals;
using master::Found;
using master::Read;

Read fine() {
    Read read;
    read.plan.workers = 5;
    read.plan.path = "/etc/reeve/x.ini";
    read.text = "[reeve]\n";
    read.advice = {"think of it"};
    return read;
}

}  // namespace

TEST_CASE("what a child has read arrives, and its text can no longer change", "[master]") {
    const auto found = master::Reading::now(fine, 5s);
    CHECK(found.errors.empty());
    CHECK(found.plan.workers == 5);
    CHECK(found.advice == std::vector<std::string>{"think of it"});
    CHECK(ipc::read_file(found.text.get()) == "[reeve]\n");
    CHECK(::write(found.text.get(), "x", 1) < 0);
    CHECK(::ftruncate(found.text.get(), 0) < 0);
}

TEST_CASE("errors arrive as they are", "[master]") {
    const auto found = master::Reading::now(
        [] {
            Read read;
            read.errors = {"a.ini:1: no", "a.ini:2: \xff neither"};
            return read;
        },
        5s);
    REQUIRE(found.errors.size() == 2);
    CHECK(found.errors[0] == "a.ini:1: no");
}

TEST_CASE("a child that crashes, leaves or hangs is an error", "[master]") {
    CHECK(master::Reading::now([]() -> Read { std::abort(); }, 5s).errors.at(0).find("SIGABRT") !=
          std::string::npos);
    CHECK(master::Reading::now([]() -> Read { ::_exit(7); }, 5s).errors.at(0).find("exit status 7") !=
          std::string::npos);
    CHECK(
        master::Reading::now([]() -> Read { return ::pause(), Read{}; }, 50ms).errors.at(0).find("SIGKILL") !=
        std::string::npos);
}

TEST_CASE("a child's leak and its globals stay with it", "[master]") {
    static int touched = 0;
    const auto found = master::Reading::now(
        [] {
            ++touched;
            static char* leaked = new char[1 << 20];
            leaked[0] = 1;
            return fine();
        },
        5s);
    CHECK(found.errors.empty());
    CHECK(touched == 0);
}

TEST_CASE("a reading in the loop says its outcome once, and its end ends the child", "[master]") {
    const ipc::EventBase loop(event_base_new());
    std::optional<Found> got;
    {
        master::Reading reading(*loop, fine, 5s, [&](Found found) {
            got = std::move(found);
            event_base_loopbreak(loop.get());
        });
        event_base_dispatch(loop.get());
    }
    REQUIRE(got);
    CHECK(got->plan.workers == 5);

    got.reset();
    {
        master::Reading reading(
            *loop, []() -> Read { return ::pause(), Read{}; }, 5s,
            [&](Found found) { got = std::move(found); });
    }
    event_base_loop(loop.get(), EVLOOP_NONBLOCK);
    CHECK_FALSE(got);
}
