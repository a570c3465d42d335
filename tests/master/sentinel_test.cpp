// tests/master/sentinel_test.cpp: the process that checks upstreams, as its master keeps it.
#include <fstream>

#include "tests/master/instance.h"

namespace {

using namespace std::chrono_literals;
using test::Instance;

void check_upstream(conf::Config& config) {
    auto& upstream = config.upstreams.emplace_back();
    upstream.name = "back";
    upstream.health.how = conf::HealthCheck::How::tcp;
    upstream.peers.emplace_back().address = {conf::Address::Family::ipv4, "127.0.0.1", 9};
}

/// One peer that is a name; no checks.
void name_peer(conf::Config& config) {
    auto& upstream = config.upstreams.emplace_back();
    upstream.name = "back";
    auto& peer = upstream.peers.emplace_back();
    peer.name = "app.example";
    peer.address.port = 80;
    config.reeve.start_timeout = 4s;
}

/// READY, then holds the lease until told to leave.
int sentinel(ipc::Seat seat) {
    if (!seat.channel.send(ipc::Ready{})) return 8;
    for (;;) {
        seat.vitals->loop.heartbeat_ms.set(ipc::monotonic_ms());
        (void)seat.scoreboard->sentinel().lease.hold(seat.term, ipc::monotonic_ms());
        pollfd waiting{.fd = seat.channel.fd(), .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 100) != 1) continue;
        ipc::Received received;
        const auto got = seat.channel.receive(received);
        if (!got || *got == ipc::Got::closed) return 0;
        if (*got == ipc::Got::message && std::holds_alternative<ipc::Stop>(received.message)) return 0;
        if (const auto* reopen = std::get_if<ipc::Reopen>(&received.message);
            *got == ipc::Got::message && reopen)
            (void)!seat.channel.send(ipc::Reopened{.request = reopen->request});
    }
}

pid_t sentinel_pid(const Instance& instance) {
    const auto now = instance.status();
    return now.is_object() && !now["sentinels"].empty() ? now["sentinels"][0]["pid"].get<pid_t>() : 0;
}

bool lives(pid_t pid) { return ::kill(pid, 0) == 0; }

}  // namespace

TEST_CASE("a generation with checks has one sentinel, and it leaves with the master", "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, sentinel);
    instance.await_serving();
    const pid_t pid = sentinel_pid(instance);
    REQUIRE(pid > 0);
    CHECK(test::read_file("/proc/" + std::to_string(pid) + "/comm") == "reeve: sentinel\n");
    CHECK(instance.status()["sentinels"].size() == 1);
    CHECK(instance.control("stop"));
    CHECK(instance.await_end() == 0);
    CHECK_FALSE(lives(pid));
    CHECK(instance.logged("sentinel left generation=1"));
}

TEST_CASE("without checks there is no sentinel", "[master][health]") {
    Instance instance(test::serve_seat, {}, sentinel);
    instance.await_serving();
    CHECK(instance.status()["sentinels"].empty());
    CHECK_FALSE(instance.logged("sentinel started"));
}

TEST_CASE("a sentinel that is killed is replaced, and nobody else notices", "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, sentinel);
    instance.await_serving();
    const auto workers = instance.pids();
    const pid_t before = sentinel_pid(instance);
    REQUIRE(::kill(before, SIGKILL) == 0);
    REQUIRE(test::eventually([&] {
        const pid_t now = sentinel_pid(instance);
        return now > 0 && now != before;
    }));
    CHECK(instance.status()["sentinels"][0]["restarts"] == 1);
    CHECK(instance.pids() == workers);
    CHECK(instance.logged("ending=\"signal SIGKILL\""));
}

TEST_CASE("a sentinel that cannot check never fails the server, and is tried again more and more rarely",
          "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, [](ipc::Seat seat) {
        (void)!seat.channel.send(ipc::Failed{.why = "no such user"});
        return 1;
    });
    instance.await_serving();
    REQUIRE(test::eventually([&] { return instance.status()["sentinels"][0]["restarts"] >= 4; }));
    CHECK(instance.logged("sentinel cannot check"));
    CHECK(instance.logged("no such user"));
    CHECK(instance.ask() != "refused");
    // 100, 100, 200, 400 ms: the fourth death is not earlier than 0.4 s after the first, and no fork storm
    CHECK(instance.status()["sentinels"][0]["restarts"] < 8);
}

TEST_CASE("a reload has the new generation's sentinel take over", "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, sentinel);
    instance.await_serving();
    const pid_t before = sentinel_pid(instance);
    instance.want("workers 2");
    REQUIRE(instance.control("reload"));
    REQUIRE(test::eventually([&] {
        const auto all = instance.status()["sentinels"];
        return all.size() == 1 && all[0]["generation"] == 2 && all[0]["pid"] > 0;
    }));
    CHECK(sentinel_pid(instance) != before);
    CHECK_FALSE(lives(before));
}

TEST_CASE("a reload that fails leaves the sentinel as it was", "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, sentinel);
    instance.await_serving();
    const pid_t before = sentinel_pid(instance);
    instance.want("error no");
    (void)instance.control("reload");
    CHECK(sentinel_pid(instance) == before);
    CHECK(lives(before));
}

TEST_CASE("a sentinel that does not hear is killed when its generation leaves", "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, sentinel);
    instance.await_serving();
    const pid_t stopped = sentinel_pid(instance);
    REQUIRE(stopped > 0);  // 0 would mean the tests' own process group
    REQUIRE(::kill(stopped, SIGSTOP) == 0);
    CHECK(instance.ask() != "refused");
    REQUIRE(instance.control("reload"));
    CHECK(test::eventually([&] { return !lives(stopped); }));
    CHECK(instance.logged("sentinel does not leave and is killed"));
    REQUIRE(test::eventually([&] { return sentinel_pid(instance) > 0; }));
    REQUIRE(::kill(sentinel_pid(instance), SIGSTOP) == 0);
    CHECK(instance.control("stop"));
    CHECK(instance.await_end() == 0);
}

TEST_CASE("a sentinel that is silent is aborted, then killed, and replaced", "[master][health]") {
    Instance instance(
        test::serve_seat,
        [](conf::Config& config) {
            check_upstream(config);
            config.reeve.watchdog = 1s;
        },
        sentinel);
    instance.await_serving();
    const pid_t stopped = sentinel_pid(instance);
    REQUIRE(stopped > 0);
    REQUIRE(::kill(stopped, SIGSTOP) == 0);  // so that ABRT waits, and only KILL ends it
    REQUIRE(test::eventually([&] {
        const pid_t now = sentinel_pid(instance);
        return now > 0 && now != stopped;
    }));
    CHECK(instance.logged("sentinel is stuck and is aborted"));
    CHECK(instance.logged("ending=\"signal SIGKILL\""));
    CHECK_FALSE(lives(stopped));
}

TEST_CASE("a sentinel that never gets ready is killed, and tried again", "[master][health]") {
    Instance instance(
        test::serve_seat,
        [](conf::Config& config) {
            check_upstream(config);
            config.reeve.start_timeout = 1s;
        },
        [](ipc::Seat) { return ::pause(); });
    instance.await_serving();
    CHECK(test::eventually([&] { return instance.logged("sentinel not ready in time and is killed"); }));
    CHECK(test::eventually([&] { return instance.status()["sentinels"][0]["restarts"] >= 1; }));
}

TEST_CASE("a sentinel that breaks the protocol is replaced", "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, [](ipc::Seat seat) {
        (void)!seat.channel.send(ipc::Serve{});
        return ::pause();
    });
    instance.await_serving();
    CHECK(test::eventually([&] { return instance.logged("sentinel breaks the protocol"); }));
    CHECK(test::eventually([&] { return instance.status()["sentinels"][0]["restarts"] >= 1; }));
}

TEST_CASE("logs are reopened when the sentinel too has said so", "[master][health]") {
    Instance instance(test::serve_seat, check_upstream, sentinel);
    instance.await_serving();
    CHECK(instance.control("reopen"));
}

TEST_CASE("a generation with names serves when its sentinel is READY", "[master][dns]") {
    Instance instance(test::serve_seat, name_peer, [](ipc::Seat seat) {
        ipc::Received received;
        const bool before_serving = *seat.channel.receive(received) == ipc::Got::nothing;
        if (!before_serving || !seat.channel.send(ipc::Ready{})) return 8;
        pollfd waiting{.fd = seat.channel.fd(), .events = POLLIN, .revents = 0};
        while (::poll(&waiting, 1, -1) == 1) {  // told to serve, then to leave
            if (!seat.channel.receive(received)) return 9;
            if (std::holds_alternative<ipc::Stop>(received.message)) return 0;
            if (!std::holds_alternative<ipc::Serve>(received.message)) return 10;
        }
        return 11;
    });
    instance.await_serving();
    CHECK(sentinel_pid(instance) > 0);
    CHECK(instance.control("stop"));
    CHECK(instance.await_end() == 0);
    CHECK(instance.logged("ending=\"exit status 0\""));
}

TEST_CASE("a generation with names does not wait for a sentinel that says nothing, or dies",
          "[master][dns]") {
    const bool dies = GENERATE(false, true);
    Instance instance(test::serve_seat, name_peer, [dies](ipc::Seat) { return dies ? 1 : ::pause(); });
    instance.await_serving();
    CHECK(instance.ask() != "refused");
}

TEST_CASE("the sentinel of a generation that is given up leaves", "[master][dns]") {
    Instance instance(
        [](ipc::Seat seat) { return seat.generation > 1 ? 1 : test::serve_seat(std::move(seat)); }, name_peer,
        sentinel);
    instance.await_serving();
    const pid_t before = sentinel_pid(instance);
    CHECK_FALSE(instance.control("reload"));
    CHECK(instance.logged("sentinel started generation=2"));
    CHECK(test::eventually([&] { return instance.status()["sentinels"].size() == 1; }));
    CHECK(sentinel_pid(instance) == before);
}
