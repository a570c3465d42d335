// What a worker may do, and what is said when it dies.
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

std::string proc(pid_t pid, const std::string& file) {
    return contents("/proc/" + std::to_string(pid) + "/" + file);
}

}  // namespace

TEST_CASE("a worker has no root id, no capability, no way to more, and a filter", "[integration][safety]") {
    const TemporaryFolder folder;
    const Server server(folder);
    for (const auto& worker : server.status().workers) {
        const auto status = proc(worker.pid, "status");
        INFO(status);
        for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
            CHECK(contains(status, std::string(set) + ":\t0000000000000000\n"));
        CHECK(contains(status, "NoNewPrivs:\t1\n"));
        CHECK(contains(status, "Seccomp:\t2\n"));
        if (::geteuid() != 0) continue;
        for (const char* ids : {"Uid", "Gid"}) {
            const auto at = status.find(std::string("\n") + ids + ":");
            const auto line = status.substr(at, status.find('\n', at + 1) - at);
            CHECK_FALSE(contains(line + "\t", "\t0\t"));
        }
        CHECK(contains(status, "CapBnd:\t0000000000000000\n"));
    }
}

TEST_CASE("the sandbox can be switched off", "[integration][safety]") {
    const TemporaryFolder folder;
    const Server server(folder, {.reeve = "sandbox = off\n"});
    CHECK(contains(proc(server.status().workers[0].pid, "status"), "Seccomp:\t0\n"));
    CHECK(server.get("/").status == 200);
}

TEST_CASE("what a worker has open closes by itself in another program", "[integration][safety]") {
    const TemporaryFolder folder;
    const Server server(folder, {.server = "access_log = @folder@/access.log\n"});
    CHECK(server.get("/").status == 200);
    const auto pid = server.status().workers[0].pid;
    std::size_t seen = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fdinfo")) {
        if (std::stoi(entry.path().filename()) <= STDERR_FILENO) continue;
        const auto info = contents(entry.path());
        const auto flags = std::stoul(info.substr(info.find("flags:") + 6), nullptr, 8);
        CAPTURE(entry.path());
        CHECK((flags & 02000000) != 0);  // O_CLOEXEC
        ++seen;
    }
    CHECK(seen > 5);
}

TEST_CASE("limits and processors are as configured", "[integration][safety][one-loop]") {
    const TemporaryFolder folder;
    const Server server(folder,
                        {.reeve = "core_max = 0\n", .execution = "workers = 2\ncpu_affinity = auto\n"});
    const auto pid = server.status().workers[1].pid;
    const auto limits = proc(pid, "limits");
    CHECK(contains(limits, "Max core file size        0                    0 "));
    const auto status = proc(pid, "status");
    const auto at = status.find("Cpus_allowed_list:\t") + 19;
    CHECK(status.find_first_of(",-", at) > status.find('\n', at));
}

TEST_CASE("a crash is told with signal, backtrace and request, and a poison request is named",
          "[integration][safety]") {
    const TemporaryFolder folder;
    folder.write("www/large", std::string(32 << 20, 'x'));
    const Server server(
        folder, {.execution = just_workers(1), .routes = "[route files]\npath = /\nfiles = @folder@/www\n"});
    for (int round = 1; round <= 2; ++round) {
        Client slow = server.connect_slow();
        slow.send(get("/large?poison"));
        REQUIRE(slow.head().status == 200);
        const auto victim = server.status().workers[0].pid;
        ::kill(victim, SIGABRT);
        eventually("it is replaced", [&] {
            const auto now = server.status().workers[0];
            return now.pid != victim && now.state == "ready";
        });
    }
    const auto log = server.log();
    CHECK(contains(log, "worker died slot=0 generation=1"));
    CHECK(contains(log, "ending=\"signal SIGABRT"));
    CHECK(contains(log, "request=\"GET /large?poison\" backtrace=\""));
    CHECK(contains(log, "worker::execution::Loop::run()"));
    CHECK(contains(
        log, "poison request: workers die of it again and again request=\"GET /large?poison\" crashes=2"));
}
