// Processes killed in the middle of a reload or an upgrade: one generation serves, or nobody has the port.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/integration/check.h"
#include "tests/integration/load.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

const std::vector<std::string> accept_modes{"accept = reuseport\n", "accept = shared\n"};

void spin(std::chrono::microseconds time) {
    const auto start = Clock::now();
    while (Clock::now() - start < time) continue;
}

/// A process of the server that was not there before.
pid_t await_newcomer(const Server& server, const std::vector<pid_t>& before) {
    pid_t found = 0;
    eventually("there is another process", [&] {
        for (const pid_t pid : server.processes())
            if (std::find(before.begin(), before.end(), pid) == before.end()) found = pid;
        return found != 0;
    });
    return found;
}

/// The new master of an upgrade. (Other newcomers may be workers, which the model has more of at any time.)
pid_t await_heir(const Server& server) {
    const std::string told = "upgrade started pid=";
    eventually("a new master starts", [&] { return contains(server.log(), told); });
    const auto log = server.log();
    return std::stoi(log.substr(log.find(told) + told.size()));
}

}  // namespace

TEST_CASE("a master killed in the middle of a reload leaves nobody behind", "[integration][faults]") {
    const auto accept = GENERATE(from_range(accept_modes));
    for (const int delay_us : {0, 500, 1'500, 3'000, 6'000, 12'000}) {
        const TemporaryFolder folder;
        Server server(folder, {.reeve = "shutdown_timeout = 2s\n", .execution = "workers = 2\n" + accept});
        server.signal(SIGHUP);
        spin(std::chrono::microseconds(delay_us));
        server.signal(SIGKILL);
        CHECK(server.wait() == 128 + SIGKILL);
        eventually("its workers are gone", [&] { return server.processes().empty(); });
        CHECK(is_free(server.port()));
    }
}

TEST_CASE("a process killed in the middle of a reload leaves one generation that serves",
          "[integration][faults]") {
    const TemporaryFolder folder;
    const Server server(folder, {.execution = "workers = 2\n" + GENERATE(from_range(accept_modes))});
    for (const int delay_us : {0, 300, 1'000, 3'000, 6'000}) {
        const auto before = server.processes();
        server.signal(SIGHUP);
        const pid_t victim = await_newcomer(server, before);  // the reader of the configuration, or a worker
        spin(std::chrono::microseconds(delay_us));
        ::kill(victim, SIGKILL);
        eventually("another reload goes through", [&] {
            return server.command({"-s", "reload"}).status == 0;
        });
        await_workers(server, 2);
        CHECK(server.get("/").status == 200);
    }
}

TEST_CASE("a new master killed before it serves leaves the old one as it was", "[integration][faults]") {
    const TemporaryFolder folder;
    const auto program = folder.path("reeve");
    std::filesystem::copy_file(reeve(), program);
    const Server server(folder, {.execution = "workers = 2\n" + GENERATE(from_range(accept_modes))}, program);
    Load load(server.port(), 2, 2);
    std::filesystem::remove(program);
    ::chmod(folder.write("reeve", "#!/bin/sh\nexec sleep 60\n").c_str(), 0755);
    server.signal(SIGUSR2);
    ::kill(await_heir(server), SIGKILL);
    eventually("it is told", [&] { return contains(server.log(), "upgrade failed"); });
    CHECK(contains(server.log(), "signal SIGKILL"));
    CHECK(server.serving() == server.pid());
    std::filesystem::remove(program);
    std::filesystem::copy_file(reeve(), program);
    CHECK(server.command({"-s", "upgrade"}).status == 0);
    CHECK(server.serving() != server.pid());
    CHECK(load.finish() == "");
}

TEST_CASE("a pid file that names somebody else harms nobody", "[integration][faults]") {
    const TemporaryFolder folder;
    const auto stranger = std::to_string(::getpid()) + "\n";
    folder.write("pid", stranger);
    const auto config = write_config(folder, {}, free_port());
    for (const char* wish : {"stop", "quit", "reload"})
        CHECK(run({reeve(), "-c", config, "-s", wish}).status == 1);
    CHECK(contents(folder.path("pid")) == stranger);
    const Server server(folder);
    CHECK(contents(folder.path("pid")) == std::to_string(server.pid()) + "\n");
    CHECK(server.command({"-s", "stop"}).status == 0);
}

TEST_CASE("without a configuration the control socket is enough", "[integration][faults]") {
    const TemporaryFolder folder;
    Server server(folder);
    const auto control = folder.path("control");
    folder.write("reeve.ini", "no_such_key = 1\n");
    const Ran refused = server.command({"-s", "stop"});
    CHECK(refused.status == 2);
    CHECK(contains(refused.errors, "reeve.ini:1: "));
    CHECK(server.get("/").status == 200);
    CHECK(server.command({"-s", "reopen", "--control", control}).status == 0);
    std::filesystem::remove(server.config());
    CHECK(run({reeve(), "-s", "reopen", "--control", control}).status == 0);
    CHECK(run({reeve(), "-s", "stop", "--control", control}).status == 0);
    CHECK(server.wait() == 0);
}

TEST_CASE("a generation that drains writes to the new log file after a rotation", "[integration][faults]") {
    const TemporaryFolder folder;
    folder.write("www/large", std::string(16 << 20, 'x'));
    Server server(folder, {.server = "access_log = @folder@/access.log\n",
                           .routes = "[route files]\npath = /\nfiles = @folder@/www\n"});
    Client slow = server.connect_slow();
    slow.send(get("/large"));
    REQUIRE(slow.head().status == 200);
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    std::filesystem::rename(folder.path("access.log"), folder.path("access.log.1"));
    REQUIRE(server.command({"-s", "reopen"}).status == 0);
    CHECK(slow.take(16 << 20).size() == 16u << 20);
    slow.close();
    await_workers(server, 2);
    CHECK(server.stop() == 0);
    CHECK(count(contents(folder.path("access.log")), "GET /large ") == 1);
    CHECK(count(contents(folder.path("access.log.1")), "GET /large ") == 0);
}
