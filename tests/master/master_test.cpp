// tests/master/master_test.cpp: a whole master with fake workers, from start to end.
#include "tests/master/instance.h"

namespace {

using namespace std::chrono_literals;
using test::Instance;
using test::read_file;

int serve(ipc::Seat seat) { return test::serve_seat(std::move(seat)); }

}  // namespace

TEST_CASE("a master starts its workers, serves, and leaves nothing behind on stop", "[master]") {
    Instance instance(serve, [](conf::Config& config) {
        config.execution.accept = GENERATE(conf::Accept::reuseport, conf::Accept::shared);
    });
    instance.await_serving();
    CHECK(read_file(instance.config.reeve.pid_file) == std::to_string(instance.process.pid()) + "\n");

    std::set<std::string> answers;
    CHECK(test::eventually([&] { return answers.insert(instance.ask()), answers.size() >= 3; }));
    const auto status = instance.status();
    for (const auto& worker : status["workers"]) {
        CHECK(worker["state"] == "ready");
        CHECK(worker["rss_bytes"] > 0);
        CHECK(worker["private_bytes"] > 0);
        CHECK(worker["shared_bytes"] > 0);  // with the master that it was forked from
        CHECK(worker["pss_bytes"] > worker["private_bytes"]);
        CHECK(answers.contains(worker["slot"].dump() + " " + worker["pid"].dump()));
    }
    CHECK(read_file("/proc/" + std::to_string(instance.process.pid()) + "/comm") == "reeve: master\n");
    CHECK(read_file("/proc/" + std::to_string(instance.worker_pid(2)) + "/comm") == "reeve: worker 2\n");

    CHECK(master::control(instance.config.reeve.control, "stop"));
    CHECK(instance.await_end() == 0);
    CHECK(instance.ask() == "refused");
    CHECK_FALSE(std::filesystem::exists(instance.config.reeve.pid_file));
    CHECK_FALSE(std::filesystem::exists(instance.config.reeve.control));
    CHECK(instance.logged("worker left slot=1"));
}

TEST_CASE("a worker that is killed is replaced at once, and the log names its request", "[master]") {
    Instance instance([](ipc::Seat seat) {
        seat.cell->loop.in_flight.begin("GET /killer");
        seat.cell->loop.connections.add(5);
        return serve(std::move(seat));
    });
    instance.await_serving();
    const pid_t before = instance.worker_pid(1);
    REQUIRE(::kill(before, SIGKILL) == 0);
    REQUIRE(test::eventually(
        [&] { return instance.worker_pid(1) != before && instance.worker_state(1) == "ready"; }));
    CHECK(instance.status()["workers"][1]["restarts"] == 1);
    CHECK(instance.logged("worker died slot=1 generation=1 pid=" + std::to_string(before) +
                          " ending=\"signal SIGKILL\""));
    CHECK(instance.logged("request=\"GET /killer\""));
    CHECK(instance.ask() != "refused");
}

TEST_CASE("connections that wait for a killed worker are answered", "[master]") {
    Instance instance;
    instance.await_serving();
    const pid_t victim = instance.worker_pid(0);
    REQUIRE(::kill(victim, SIGSTOP) == 0);
    std::vector<ipc::UniqueFd> waiting;
    for (int count = 0; count < 60; ++count) waiting.push_back(test::connect_to(instance.port));
    REQUIRE(::kill(victim, SIGKILL) == 0);
    for (const auto& socket : waiting) {
        const auto answer = test::read_to_end(socket.get());
        CHECK(answer != "reset");
        CHECK(answer != "timeout");
    }
}

TEST_CASE("a stuck worker loses its connections to siblings, and gets new ones once it moves", "[master]") {
    Instance instance(serve, [](conf::Config& config) { config.reeve.watchdog = 8s; });
    instance.await_serving();
    const pid_t stuck = instance.worker_pid(0);
    const auto answer_of_stuck = "0 " + std::to_string(stuck);
    REQUIRE(::kill(stuck, SIGSTOP) == 0);
    std::vector<ipc::UniqueFd> waiting;
    for (int count = 0; count < 30; ++count) waiting.push_back(test::connect_to(instance.port));
    for (const auto& socket : waiting) CHECK(test::read_to_end(socket.get()).size() > 2);  // adopted
    REQUIRE(instance.worker_state(0) == "stuck");
    for (int count = 0; count < 50; ++count) CHECK(instance.ask() != answer_of_stuck);

    REQUIRE(::kill(stuck, SIGCONT) == 0);
    REQUIRE(test::eventually([&] { return instance.worker_state(0) == "ready"; }));
    CHECK(test::eventually([&] { return instance.ask() == answer_of_stuck; }));
    CHECK(instance.logged("worker is stuck slot=0"));
    CHECK(instance.logged("worker moves again slot=0"));
}

TEST_CASE("a worker that stays stuck is ended and replaced", "[master]") {
    Instance instance(serve, [](conf::Config& config) { config.reeve.watchdog = 1s; });
    instance.await_serving();
    const pid_t stuck = instance.worker_pid(2);
    REQUIRE(::kill(stuck, SIGSTOP) == 0);
    CHECK(test::eventually(
        [&] { return instance.worker_pid(2) != stuck && instance.worker_state(2) == "ready"; }));
    CHECK(instance.logged("worker is stuck and is aborted slot=2"));
}

TEST_CASE("a worker that keeps dying backs off while its siblings serve its queue", "[master]") {
    Instance instance([](ipc::Seat seat) {
        const auto lives = seat.cell->loop.slow_turns.get();  // any counter that outlives the worker
        seat.cell->loop.slow_turns.add();
        if (seat.slot == 1 && lives > 0) return 7;
        return serve(std::move(seat));
    });
    instance.await_serving();
    REQUIRE(::kill(instance.worker_pid(1), SIGKILL) == 0);
    REQUIRE(test::eventually([&] { return instance.status()["workers"][1]["restarts"] >= 4; }));
    for (int count = 0; count < 30; ++count) CHECK(instance.ask().size() > 2);
    CHECK(instance.logged("worker keeps dying, will retry slot=1 delay_ms=200"));
    CHECK(instance.logged("ending=\"exit status 7\""));
    CHECK(instance.status()["workers"][1]["state"] == "backing_off");
}

TEST_CASE("a start that cannot succeed ends with status 1 and the reason", "[master]") {
    SECTION("a worker says why") {
        Instance instance([](ipc::Seat seat) {
            (void)!seat.channel.send(ipc::Failed{.why = "no such user"});
            return 1;
        });
        CHECK(instance.await_end() == 1);
        CHECK(instance.logged("no such user"));
    }
    SECTION("a worker dies again and again") {
        Instance instance([](ipc::Seat seat) { return seat.slot == 2 ? 5 : serve(std::move(seat)); });
        CHECK(instance.await_end() == 1);
        CHECK(instance.logged("worker 2 died 3 times before it was ready"));
    }
    SECTION("a worker never says anything") {
        Instance instance([](ipc::Seat) { return ::pause(); },
                          [](conf::Config& config) { config.reeve.start_timeout = 200ms; });
        CHECK(instance.await_end() == 1);
    }
}

TEST_CASE("a second instance on the same pid file or port is refused and disturbs nothing", "[master]") {
    Instance first;
    first.await_serving();
    {
        Instance second(serve,
                        [&](conf::Config& config) { config.reeve.pid_file = first.config.reeve.pid_file; });
        CHECK(second.await_end() == 1);
    }
    {
        Instance second(serve, [&](conf::Config& config) {
            config.servers[0].listen = {test::listen_on("127.0.0.1", first.port)};
        });
        CHECK(second.await_end() == 1);
    }
    {
        Instance second(serve,
                        [&](conf::Config& config) { config.reeve.control = first.config.reeve.control; });
        CHECK(second.await_end() == 1);
    }
    CHECK(first.ask().size() > 2);
    CHECK(first.status()["master"]["state"] == "serving");
}

TEST_CASE("quit says unready first, accepts for the drain delay, and then drains", "[master]") {
    Instance instance(serve, [](conf::Config& config) { config.reeve.drain_delay = 400ms; });
    instance.await_serving();
    instance.process.signal(SIGQUIT);
    REQUIRE(test::eventually([&] { return instance.status()["master"]["state"] == "unready"; }));
    CHECK(instance.ask().size() > 2);
    CHECK(instance.await_end() == 0);
    CHECK(instance.ask() == "refused");
}

TEST_CASE("workers that will not leave are killed in the end", "[master]") {
    const auto deaf = [](ipc::Seat seat) {
        ::signal(SIGTERM, SIG_IGN);
        (void)!seat.channel.send(ipc::Ready{.slot = seat.slot});
        for (;;) {
            seat.cell->loop.heartbeat_ms.set(ipc::monotonic_ms());
            ::poll(nullptr, 0, 100);
        }
        return 0;
    };
    Instance instance(deaf, [](conf::Config& config) { config.reeve.shutdown_timeout = 300ms; });
    instance.await_serving();
    const auto begin = ipc::monotonic_ms();
    instance.process.signal(GENERATE(SIGTERM, SIGQUIT));
    CHECK(instance.await_end() == 0);
    CHECK(ipc::monotonic_ms() - begin < 4000);
    CHECK(instance.logged("workers do not leave and are killed workers=3"));
}

TEST_CASE("WINCH drains the workers and keeps the master, which can still be told to quit", "[master]") {
    Instance instance;
    instance.await_serving();
    instance.process.signal(SIGWINCH);
    REQUIRE(test::eventually([&] { return instance.status()["master"]["state"] == "idle"; }));
    CHECK(instance.status()["workers"][0]["state"] == "empty");
    CHECK(master::control(instance.config.reeve.control, "quit"));
    CHECK(instance.await_end() == 0);
}

TEST_CASE("reopen gives every worker the new files and waits for each", "[master]") {
    Instance instance;
    instance.await_serving();
    const auto& path = instance.config.servers[0].access_log.path;
    std::filesystem::rename(path, path + ".1");
    std::filesystem::rename(instance.config.reeve.error_log.path,
                            instance.config.reeve.error_log.path + ".1");
    REQUIRE(master::control(instance.config.reeve.control, "reopen"));
    const auto written = read_file(path);
    for (int slot = 0; slot < 3; ++slot)
        CHECK(written.find("reopened by " + std::to_string(slot)) != std::string::npos);
    CHECK(read_file(path + ".1").empty());
    CHECK(instance.logged("reopened by 0"));
    CHECK(instance.logged("logs reopened"));
}

TEST_CASE("reopen names the worker that does not confirm", "[master]") {
    Instance instance;
    instance.await_serving();
    REQUIRE(::kill(instance.worker_pid(1), SIGSTOP) == 0);
    const auto answer = master::control(instance.config.reeve.control, "reopen");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().text() == "not confirmed in time by worker 1 of generation 1");
}

TEST_CASE("a reopen that cannot open keeps the old files and says so", "[master]") {
    Instance instance;
    instance.await_serving();
    const auto& path = instance.config.servers[0].access_log.path;
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    const auto answer = master::control(instance.config.reeve.control, "reopen");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().text() == "open " + path + ": Is a directory");
    CHECK(instance.ask().size() > 2);
}

TEST_CASE("a worker that breaks the protocol is killed and replaced", "[master]") {
    const auto rude = [](ipc::Seat seat) {
        if (seat.slot == 0 && seat.cell->loop.slow_turns.get() == 0) {
            seat.cell->loop.slow_turns.add();
            (void)!seat.channel.send(ipc::Ready{.slot = seat.slot});
            for (int count = 0; count < 100; ++count) (void)!seat.channel.send(ipc::Ready{.slot = 0});
            return ::pause();
        }
        return serve(std::move(seat));
    };
    Instance instance(rude);
    REQUIRE(
        test::eventually([&] { return instance.logged("worker breaks the protocol and is killed slot=0"); }));
    instance.await_serving();
    CHECK(test::eventually([&] { return instance.worker_state(0) == "ready"; }));
}

TEST_CASE("a worker that closes its channel and stays is killed and replaced", "[master]") {
    Instance instance([](ipc::Seat seat) {
        if (seat.slot != 0 || seat.cell->loop.slow_turns.get() != 0) return serve(std::move(seat));
        seat.cell->loop.slow_turns.add();
        seat.channel = ipc::Channel(ipc::UniqueFd());
        return ::pause();
    });
    instance.await_serving();
    CHECK(instance.status()["workers"][0]["restarts"] == 1);
}

TEST_CASE("workers hold no socket of another slot, nor anything of the master's", "[master]") {
    Instance instance;
    instance.await_serving();
    const auto folder = "/proc/" + std::to_string(instance.worker_pid(1)) + "/fd";
    int sockets = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(entry, gone).string();
        CHECK(target.find("anon_inode") == std::string::npos);  // no epoll, pidfd or signalfd
        CHECK(target.find("/pid") == std::string::npos);
        if (target.starts_with("socket:")) ++sockets;
    }
    CHECK(sockets == 2);  // its own listening socket and its channel
}
