// tests/master/reload_test.cpp: one generation after another, and what comes of those that fail.
#include "tests/master/instance.h"

namespace {

using namespace std::chrono_literals;
using test::Instance;

int serve(ipc::Seat seat) { return test::serve_seat(std::move(seat)); }

/// Serves in the first generation; in later ones does what `then` says.
master::WorkerMain first_serves(std::function<int(ipc::Seat)> then) {
    return [then = std::move(then)](ipc::Seat seat) {
        return seat.generation == 1 ? serve(std::move(seat)) : then(std::move(seat));
    };
}

}  // namespace

TEST_CASE("a reload serves with new processes on the same port, and the old ones leave", "[reload]") {
    Instance instance(serve, [](conf::Config& config) {
        config.execution.accept = GENERATE(conf::Accept::reuseport, conf::Accept::shared);
    });
    instance.await_serving();
    const auto before = instance.pids();
    const auto answer = instance.control("reload");
    REQUIRE(answer);
    CHECK(*answer == "generation 2 serves, workers 3\n");
    instance.await_one_generation();
    for (const auto pid : instance.pids()) CHECK_FALSE(before.contains(pid));
    CHECK(instance.status()["master"]["generation"] == 2);
    CHECK(instance.status()["master"]["reloads_total"] == 1);
    CHECK(instance.ask().size() > 2);
}

TEST_CASE("workers grow and shrink over reloads, and no connection is lost", "[reload]") {
    Instance instance;
    instance.await_serving();
    for (const int workers : {5, 1, 4, 2}) {
        instance.want("workers " + std::to_string(workers) + "\n");
        REQUIRE(instance.control("reload"));
        for (int count = 0; count < 40; ++count) CHECK(instance.ask().size() > 2);
        instance.await_one_generation();
        CHECK(instance.status()["workers"].size() == static_cast<std::size_t>(workers));
        CHECK(instance.status()["listeners"][0]["slots"].size() == static_cast<std::size_t>(workers));
    }
}

TEST_CASE("what waits in the queue of a slot that shrinks away is answered", "[reload]") {
    Instance instance(first_serves(serve));
    instance.await_serving();
    std::vector<pid_t> frozen;
    for (std::size_t slot = 0; slot < 3; ++slot) frozen.push_back(instance.worker_pid(slot));
    for (const auto pid : frozen) REQUIRE(::kill(pid, SIGSTOP) == 0);
    std::vector<ipc::UniqueFd> waiting;
    for (int count = 0; count < 60; ++count) waiting.push_back(test::connect_to(instance.port));
    instance.want("workers 1\n");
    REQUIRE(instance.control("reload"));
    for (const auto& socket : waiting) CHECK(test::read_to_end(socket.get()).starts_with("0 "));
    for (const auto pid : frozen) ::kill(pid, SIGCONT);
    CHECK(test::eventually([&] { return instance.status()["listeners"][0]["pending"] == 0; }));
}

TEST_CASE("a change of the way to accept loses no connection", "[reload]") {
    Instance instance;
    instance.await_serving();
    for (const char* accept : {"shared", "reuseport", "shared"}) {
        instance.want(std::string("accept ") + accept + "\n");
        REQUIRE(instance.control("reload"));
        for (int count = 0; count < 40; ++count) CHECK(instance.ask().size() > 2);
        CHECK(instance.status()["listeners"][0]["accept"] == accept);
    }
}

TEST_CASE("a configuration that is refused changes nothing, and the caller hears why", "[reload]") {
    Instance instance;
    instance.await_serving();
    const auto before = instance.pids();
    instance.want("error x.ini:3: no such key\nerror x.ini:9: no such port\n");
    const auto answer = master::ask(instance.config.reeve.control, "reload");
    REQUIRE(answer);
    CHECK(answer->kind == master::Answer::Kind::refused);
    CHECK(answer->text == "x.ini:3: no such key\nx.ini:9: no such port");
    CHECK(instance.pids() == before);
    CHECK(instance.status()["master"]["reload_failures_total"] == 1);
    CHECK(instance.ask().size() > 2);
}

TEST_CASE("reading that crashes or hangs is a failed reload and no more", "[reload]") {
    Instance instance(serve, [](conf::Config& config) { config.reeve.start_timeout = 300ms; });
    instance.await_serving();
    const auto before = instance.pids();
    SECTION("crashes") {
        instance.want("crash\n");
        const auto answer = instance.control("reload");
        REQUIRE_FALSE(answer);
        CHECK(answer.error().text().find("signal SIGABRT") != std::string::npos);
    }
    SECTION("hangs") {
        instance.want("hang\n");
        const auto answer = instance.control("reload");
        REQUIRE_FALSE(answer);
        CHECK(answer.error().text().find("signal SIGKILL") != std::string::npos);
    }
    CHECK(instance.pids() == before);
    instance.want("");
    CHECK(instance.control("reload"));
}

TEST_CASE("a generation whose workers do not get ready is given up, the old one serves on", "[reload]") {
    const auto quick = [](conf::Config& config) { config.reeve.start_timeout = 400ms; };
    SECTION("they say why") {
        Instance instance(first_serves([](ipc::Seat seat) {
            (void)!seat.channel.send(ipc::Failed{.why = "the disk is full"});
            return 1;
        }));
        instance.await_serving();
        const auto answer = instance.control("reload");
        REQUIRE_FALSE(answer);
        CHECK(answer.error().text().find("the disk is full") != std::string::npos);
        instance.await_one_generation();
        CHECK(instance.ask().size() > 2);
    }
    SECTION("they die") {
        Instance instance(first_serves([](ipc::Seat) { return 4; }));
        instance.await_serving();
        CHECK_FALSE(instance.control("reload"));
        CHECK(instance.ask().size() > 2);
    }
    SECTION("they hang") {
        Instance instance(first_serves([](ipc::Seat) { return ::pause(); }), quick);
        instance.await_serving();
        const auto before = instance.pids();
        const auto answer = instance.control("reload");
        REQUIRE_FALSE(answer);
        CHECK(answer.error().text().find("in time") != std::string::npos);
        for (int count = 0; count < 20; ++count) CHECK(instance.ask().size() > 2);
        CHECK(test::eventually([&] { return instance.pids() == before; }));
        CHECK(instance.status()["listeners"][0]["slots"].size() == 3);
    }
}

TEST_CASE("an address that cannot be bound fails the reload", "[reload]") {
    Instance other;
    other.await_serving();
    Instance instance;
    instance.await_serving();
    instance.want("port " + std::to_string(other.port) + "\n");
    const auto answer = instance.control("reload");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().text().find("Address already in use") != std::string::npos);
    CHECK(instance.ask().size() > 2);
    CHECK(other.ask().size() > 2);
}

TEST_CASE("an error log that cannot be opened fails the reload", "[reload]") {
    Instance instance;
    instance.await_serving();
    instance.want("log " + (instance.folder / "no/such/folder/log") + "\n");
    CHECK_FALSE(instance.control("reload"));
    CHECK(instance.ask().size() > 2);
    CHECK(instance.logged("reload failed, serving goes on"));
}

TEST_CASE("a storm of HUPs is at most two reloads, and the last configuration wins", "[reload]") {
    Instance instance;
    instance.await_serving();
    for (int count = 0; count < 100; ++count) {
        instance.want("workers " + std::to_string(1 + count % 4) + "\n");
        instance.process.signal(SIGHUP);
    }
    instance.want("workers 2\n");
    instance.process.signal(SIGHUP);
    REQUIRE(test::eventually([&] { return instance.status()["master"]["reloads_total"] >= 1; }));
    instance.await_one_generation();
    REQUIRE(test::eventually([&] { return instance.status()["workers"].size() == 2; }));
    CHECK(instance.status()["master"]["reloads_total"] <= 2);
}

TEST_CASE("everybody who asks during a reload gets an answer", "[reload]") {
    Instance instance;
    instance.await_serving();
    std::vector<std::thread> callers;
    std::atomic<int> done{0};
    for (int count = 0; count < 10; ++count)
        callers.emplace_back([&] {
            if (instance.control("reload")) ++done;
        });
    for (auto& caller : callers) caller.join();
    CHECK(done == 10);
    CHECK(instance.status()["master"]["reloads_total"] <= 2);
}

TEST_CASE("old generations that take their time are bounded, the oldest ends first", "[reload]") {
    // Each drains for as long as it may.
    const auto slow = [](ipc::Seat seat) {
        if (!seat.channel.send(ipc::Ready{.slot = seat.slot})) return 8;
        for (;;) {
            seat.cell->loop.heartbeat_ms.set(ipc::monotonic_ms());
            ipc::Received received;
            const auto got = seat.channel.receive(received);
            if (!got || *got == ipc::Got::closed) return 0;
            if (*got == ipc::Got::message && std::holds_alternative<ipc::Stop>(received.message)) return 0;
            ::poll(nullptr, 0, 10);
        }
    };
    Instance instance(slow, [](conf::Config& config) {
        config.reeve.generations_max = 2;
        config.reeve.shutdown_timeout = 60s;
        config.execution.workers = 1;
    });
    REQUIRE(test::eventually([&] { return instance.status().is_object(); }));
    REQUIRE(test::eventually([&] { return instance.status()["master"]["state"] == "serving"; }));
    for (int count = 0; count < 5; ++count) REQUIRE(instance.control("reload"));
    const auto generations = [&] {
        std::set<int> all;
        const auto now = instance.status();
        for (const auto& worker : now["workers"]) all.insert(worker["generation"].get<int>());
        return all;
    };
    CHECK(test::eventually([&] { return generations() == std::set<int>{4, 5, 6}; }));
    CHECK(instance.logged("too many old generations, the oldest is ended generation=1"));
}

TEST_CASE("a worker is replaced by request, and its successor is there first", "[recycle]") {
    Instance instance;
    instance.await_serving();
    const auto before = instance.worker_pid(1);
    REQUIRE(instance.control("worker restart 1"));
    for (int count = 0; count < 40; ++count) CHECK(instance.ask().size() > 2);
    REQUIRE(test::eventually(
        [&] { return instance.worker_pid(1) != before && instance.status()["workers"].size() == 3; }));
    CHECK(instance.status()["workers"][1]["restarts"] == 1);
    CHECK(instance.control("worker restart 9").error().text() == "there is no worker 9");
    CHECK(instance.control("worker restart x").error().text() == "not the number of a worker");
}

TEST_CASE("a worker that has served enough is replaced", "[recycle]") {
    const auto counting = [](ipc::Seat seat) {
        seat.cell->loop.requests.add(seat.slot == 0 && seat.cell->tenant.restarts.get() == 0 ? 200 : 0);
        return serve(std::move(seat));
    };
    Instance instance(counting, [](conf::Config& config) { config.execution.max_requests = 100; });
    instance.await_serving();
    REQUIRE(test::eventually([&] { return instance.status()["workers"][0]["restarts"] == 1; }));
    CHECK(instance.logged("worker is replaced slot=0 generation=1"));
    CHECK(instance.logged("cause=max_requests"));
    CHECK(instance.status()["workers"][1]["restarts"] == 0);
}

TEST_CASE("a worker that holds too much memory is replaced", "[recycle]") {
    Instance instance(serve, [](conf::Config& config) {
        config.execution.max_memory = 1 << 20;  // less than any process has
        config.execution.workers = 2;
    });
    instance.await_serving();
    CHECK(test::eventually([&] { return instance.logged("cause=max_memory"); }));
    CHECK(instance.ask().size() > 2);
}

TEST_CASE("a successor that does not get ready leaves the seat to who has it", "[recycle]") {
    const auto first_only = [](ipc::Seat seat) {
        if (seat.cell->tenant.restarts.get() > 0) return 3;
        return serve(std::move(seat));
    };
    Instance instance(first_only);
    instance.await_serving();
    const auto before = instance.worker_pid(2);
    REQUIRE(instance.control("worker restart 2"));
    REQUIRE(test::eventually([&] { return instance.logged("ending=\"exit status 3\""); }));
    CHECK(instance.worker_pid(2) == before);
    CHECK(instance.worker_state(2) == "ready");
}

TEST_CASE("after WINCH a HUP brings workers back", "[reload]") {
    Instance instance;
    instance.await_serving();
    instance.process.signal(SIGWINCH);
    REQUIRE(test::eventually([&] { return instance.status()["master"]["state"] == "idle"; }));
    const auto waits = test::connect_to(instance.port);  // the sockets are still there
    REQUIRE(waits);
    instance.process.signal(SIGHUP);
    REQUIRE(test::eventually([&] { return instance.status()["master"]["state"] == "serving"; }));
    CHECK(test::read_to_end(waits.get()).size() > 2);
}

TEST_CASE("the level of the log can be changed while it serves", "[master]") {
    Instance instance;
    instance.await_serving();
    CHECK(instance.control("loglevel debug"));
    instance.process.signal(SIGWINCH);
    CHECK(test::eventually([&] { return instance.logged("master state=retiring"); }));
    CHECK(instance.control("loglevel loud").error().text() ==
          "not one of trace, debug, info, warn, error, critical, off");
}

TEST_CASE("a log file that is moved away is opened anew without being told", "[master]") {
    Instance instance;
    instance.await_serving();
    const auto& path = instance.config.servers[0].access_log.path;
    std::filesystem::rename(path, path + ".1");
    REQUIRE(test::eventually([&] { return std::filesystem::exists(path); }));
    CHECK(test::eventually([&] { return instance.logged("logs reopened"); }));
    CHECK(test::read_file(path).find("reopened by 2") != std::string::npos);
}
