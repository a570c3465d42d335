// tests/master/preloader_test.cpp: nobody whom a preloader forked is lost, whenever it ends.
#include "master/preloader.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "ipc/scoreboard.h"
#include "master/logs.h"
#include "tests/master/sockets.h"

namespace {

using namespace std::chrono_literals;

ipc::Result<int> load(int, const std::function<int(const master::WorkerMain&)>& go) {
    return go([](ipc::Seat) { return 0; });
}

/// A preloader on a loop of the test's.
struct Fixture {
    Fixture() {
        auto opened = master::Logs::open({}, {});
        REQUIRE(opened);
        logs = std::make_unique<master::Logs>(std::move(*opened));
        preloader = std::make_unique<master::Preloader>(
            master::Preloader::Surroundings{.loop = *loop,
                                            .logs = *logs,
                                            .title = title,
                                            .load = main,
                                            .config = -1,
                                            .start_timeout = 20s,
                                            .generation = 1},
            [](ipc::Channel, const master::WorkerMain&) { return ::pause(); }, [] {});
        preloader->start({});
        REQUIRE(until([&] { return preloader->ready(); }));
    }
    ~Fixture() {
        preloader->stop();
        CHECK(until([&] { return !preloader->running(); }));
    }
    template <class Condition>
    bool until(const Condition& is_so) {
        return test::eventually([&] {
            event_base_loop(loop.get(), EVLOOP_NONBLOCK);
            return is_so();
        });
    }
    /// Asks for a process, and reads what it says first.
    std::uint32_t fork(ipc::Channel& ours) {
        auto ends = ipc::Channel::pair();
        REQUIRE(ends);
        preloader->fork(ends->second.fd());
        ours = std::move(ends->first);
        pollfd waiting{.fd = ours.fd(), .events = POLLIN, .revents = 0};
        ends->second = ipc::Channel(ipc::UniqueFd());
        REQUIRE(::poll(&waiting, 1, 15'000) == 1);
        ipc::Received received;
        REQUIRE(ours.receive(received) == ipc::Got::message);
        return std::get<ipc::Born>(received.message).pid;
    }

    char name[6] = "reeve";
    char* argv[2] = {name, nullptr};
    master::ProcessTitle title{1, argv};
    master::PreloadMain main = load;
    ipc::EventBase loop{event_base_new()};
    std::unique_ptr<master::Logs> logs;
    std::unique_ptr<master::Preloader> preloader;
};

}  // namespace

TEST_CASE("who was forked and not adopted ends with the preloader, and is collected", "[master][preload]") {
    Fixture fixture;
    ipc::Channel first{ipc::UniqueFd()}, second{ipc::UniqueFd()}, third{ipc::UniqueFd()};
    const auto lost = static_cast<pid_t>(fixture.fork(first));
    const auto adopted = static_cast<pid_t>(fixture.fork(second));
    auto child = master::Child::adopt(adopted);
    REQUIRE(child);
    REQUIRE(::setpgid(adopted, ::getpgrp()) == 0);
    const pid_t loader = fixture.preloader->pid();

    SECTION("when it dies") { REQUIRE(::kill(loader, SIGKILL) == 0); }
    SECTION("when it is killed, because it hangs") {
        REQUIRE(::kill(loader, SIGSTOP) == 0);
        fixture.preloader->give_up();
    }
    SECTION("when it leaves") { fixture.preloader->stop(); }
    REQUIRE(fixture.until([&] { return fixture.preloader->pid() != loader; }));
    REQUIRE(fixture.until([&] { return !fixture.preloader->running() || fixture.preloader->ready(); }));
    CHECK(::kill(lost, 0) != 0);  // not even a zombie is left
    ipc::Received received;
    CHECK(first.receive(received) == ipc::Got::closed);
    CHECK(::kill(adopted, 0) == 0);
    CHECK(second.receive(received) == ipc::Got::nothing);
    child->signal(SIGKILL);
    REQUIRE(fixture.until([&] { return child->reap().has_value(); }));
}

TEST_CASE("who died before anybody knew of it is found, and collected while the preloader lives",
          "[master][preload]") {
    Fixture fixture;
    CHECK(fixture.preloader->dead_child() == 0);
    ipc::Channel first{ipc::UniqueFd()}, second{ipc::UniqueFd()};
    const auto lost = static_cast<pid_t>(fixture.fork(first));
    const auto living = static_cast<pid_t>(fixture.fork(second));
    CHECK(fixture.preloader->dead_child() == 0);
    REQUIRE(::kill(lost, SIGKILL) == 0);
    REQUIRE(fixture.until([&] { return fixture.preloader->dead_child() == lost; }));
    CHECK(::kill(lost, 0) == 0);  // a zombie, which was only looked at
    fixture.preloader->collect(lost);
    CHECK(::kill(lost, 0) != 0);
    CHECK(fixture.preloader->dead_child() == 0);
    CHECK(::kill(living, 0) == 0);
    fixture.preloader->collect(living);  // does not wait for it
    CHECK(::kill(living, 0) == 0);
    CHECK(fixture.preloader->ready());
}

TEST_CASE("only a child of ours can be adopted", "[master][preload]") {
    CHECK_FALSE(master::Child::adopt(::getpid()));
    CHECK_FALSE(master::Child::adopt(::getppid()));
    CHECK_FALSE(master::Child::adopt(0x7fffffff));
    auto child = master::Child::fork({}, [] { return ::pause(); });
    REQUIRE(child);
    CHECK(master::Child::adopt(child->pid()));
    child->signal(SIGKILL);
    CHECK(test::eventually([&] { return child->reap().has_value(); }));
}
