// tests/master/pool_life_test.cpp: pools come with their generation and go after its workers.
#include <sys/socket.h>
#include <algorithm>

#include "tests/master/instance.h"

namespace {

using namespace std::chrono_literals;
using test::Instance;

void one_pool(conf::Config& config) {
    auto& pool = config.pools.emplace_back();
    pool.name = "work";
    pool.run.kind = conf::PoolRun::Kind::cgi;
    pool.run.command = {"/bin/true"};
    pool.size = 2;
    pool.kill_grace = 200ms;
}

int accept_for_ever(ipc::PoolSeat seat) {
    for (;;) const ipc::UniqueFd connection(::accept4(seat.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

/// TERM means nothing to it.
int stubborn(ipc::PoolSeat seat) {
    ::signal(SIGTERM, SIG_IGN);
    return accept_for_ever(std::move(seat));
}

std::vector<pid_t> members(const Instance& instance, std::uint32_t generation) {
    std::vector<pid_t> all;
    const auto now = instance.status();
    if (!now.is_object()) return all;
    for (const auto& pool : now["pools"])
        if (pool["generation"] == generation)
            for (const auto& member : pool["members"]) all.push_back(member["pid"].get<pid_t>());
    return all;
}

bool any_lives(const std::vector<pid_t>& all) {
    return std::any_of(all.begin(), all.end(), [](pid_t pid) { return ::kill(pid, 0) == 0; });
}

/// Holds a task until it is told to leave, and some time beyond; writes down whether its member lived to the
/// end.
int late_worker(ipc::Seat seat) {
    if (!seat.channel.send(ipc::Ready{.slot = seat.slot})) return 8;
    std::optional<ipc::PoolTask> task;
    for (;;) {
        seat.cell->loop.heartbeat_ms.set(ipc::monotonic_ms());
        if (!task && seat.slot == 0)
            task = seat.pools->acquire(0, seat.scoreboard->index_of(*seat.cell), ipc::monotonic_ms());
        pollfd waiting{.fd = seat.channel.fd(), .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 20) != 1) continue;
        ipc::Received received;
        const auto got = seat.channel.receive(received);
        if (!got || *got == ipc::Got::closed) return 0;
        if (*got != ipc::Got::message || !std::holds_alternative<ipc::Drain>(received.message)) continue;
        ::usleep(300'000);
        if (task) {
            const auto pid = seat.pools->report(0, 0).members[task->member].pid;
            spdlog::info("at the end the member lives={}", pid > 0 && ::kill(pid, 0) == 0);
        }
        return 0;
    }
}

/// Whichever member was ready first has the task.
bool is_busy(Instance& instance) {
    const auto status = instance.status();
    const auto& members = status["pools"][0]["members"];
    return std::any_of(members.begin(), members.end(),
                       [](const auto& member) { return member["state"] == "busy"; });
}

}  // namespace

TEST_CASE("pools are there before their generation serves, and gone when the master is", "[master][pool]") {
    Instance instance(test::serve_seat, one_pool, {}, accept_for_ever);
    instance.await_serving();
    const auto all = members(instance, 1);
    CHECK(all.size() == 2);
    const auto now = instance.status();
    for (const auto& member : now["pools"][0]["members"]) CHECK(member["state"] == "idle");
    CHECK(instance.control("status")->find("work") != std::string::npos);
    CHECK(instance.control("stop"));
    CHECK(instance.await_end() == 0);
    CHECK_FALSE(any_lives(all));
}

TEST_CASE("a pool whose process dies at once fails the start, with what it said", "[master][pool]") {
    Instance instance(test::serve_seat, one_pool, {}, [](ipc::PoolSeat) {
        std::fprintf(stderr, "no license\n");
        std::fflush(stderr);
        return 7;
    });
    CHECK(instance.await_end() == 1);
    CHECK(instance.logged("cannot start"));
    CHECK(instance.logged(
        "pool work: its process ended before it took a connection: exit status 7: no license"));
}

TEST_CASE("a stubborn pool does not keep the master from stopping", "[master][pool]") {
    Instance instance(test::serve_seat, one_pool, {}, stubborn);
    instance.await_serving();
    const auto all = members(instance, 1);
    CHECK(instance.control("stop"));
    CHECK(instance.await_end() == 0);
    CHECK_FALSE(any_lives(all));
    CHECK(instance.logged("pool member does not leave and is killed"));
}

TEST_CASE("a master that is killed takes its pools with it", "[master][pool]") {
    Instance instance(test::serve_seat, one_pool, {}, accept_for_ever);
    instance.await_serving();
    const auto all = members(instance, 1);
    REQUIRE(all.size() == 2);
    instance.process.signal(SIGKILL);
    CHECK(test::eventually([&] { return !any_lives(all); }));
}

TEST_CASE("a reload gives the new generation pools of its own, and the old ones end after their workers",
          "[master][pool]") {
    Instance instance(late_worker, one_pool, {}, accept_for_ever);
    instance.await_serving();
    const auto before = members(instance, 1);
    REQUIRE(test::eventually([&] { return is_busy(instance); }));
    REQUIRE(instance.control("reload"));
    const auto after = members(instance, 2);
    CHECK(after.size() == 2);
    REQUIRE(test::eventually([&] { return !any_lives(before); }));
    CHECK(instance.logged("at the end the member lives=true"));
    CHECK(any_lives(after));
    instance.await_one_generation();
    CHECK(instance.status()["pools"].size() == 1);
}

TEST_CASE("tasks of a worker that is killed are given up", "[master][pool]") {
    Instance instance(late_worker, one_pool, {}, accept_for_ever);
    instance.await_serving();
    REQUIRE(test::eventually([&] { return is_busy(instance); }));
    ::kill(instance.worker_pid(0), SIGKILL);
    CHECK(test::eventually(
        [&] { return instance.logged("tasks of a worker that is gone are given up tasks=1"); }));
}
