// Modules that crash, loop and leak on the real server: the log names them, and nobody else notices.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

/// Two workers with one loop each, and a module that they load as `probe`, with a route `/HANDLER` for each.
struct FaultySite {
    explicit FaultySite(const std::vector<std::string>& handlers, const std::string& more = "") {
        const char* modules = std::getenv("MODULES");
        REQUIRE(modules != nullptr);
        const auto path = folder.path("probe.so");
        std::filesystem::copy_file(std::string(modules) + "/probe.so", path);
        ::chmod(path.c_str(), 0755);
        setup.execution = "model = event\nworkers = 2\n";
        setup.routes = "[module probe]\npath = @folder@/probe.so\noption = crash_if=@folder@/crash\n";
        for (const auto& handler : handlers)
            setup.routes +=
                "[route " + handler + "]\npath = /" + handler + "\nmodule = probe/" + handler + "\n";
        setup.routes += more;
    }
    TemporaryFolder folder;
    Setup setup;
};

pid_t pid_behind(Client& client) {
    client.send(get("/pid"));
    return std::atoi(client.response().body.c_str());
}

/// A connection to each of the two workers.
struct Both {
    explicit Both(const Server& server) : victim(server.connect()), other(server.connect()) {
        eventually("one is served by the other worker", [&] {
            other = server.connect();
            return pid_behind(other) != pid_behind(victim);
        });
        victim_pid = pid_behind(victim);
        other_pid = pid_behind(other);
    }
    Client victim, other;
    pid_t victim_pid = 0, other_pid = 0;
};

/// The line of the log with that in it, as soon as it is there.
std::string log_line(const Server& server, const std::string& part) {
    std::string line;
    eventually("the log says: " + part, [&] {
        const auto log = server.log();
        const auto at = log.find(part);
        const auto end = at == std::string::npos ? at : log.find('\n', at);
        if (end == std::string::npos) return false;
        const auto begin = log.rfind('\n', at) + 1;
        line = log.substr(begin, end - begin);
        return true;
    });
    return line;
}

std::string dead(pid_t pid) { return " pid=" + std::to_string(pid) + " ending="; }

}  // namespace

TEST_CASE("a module that crashes is named with its handler, and the other worker goes on",
          "[integration][module][faults]") {
    FaultySite site({"pid", "crash"});
    SECTION("without preload") { site.setup.execution += "preload = off\n"; }
    SECTION("with preload") { site.setup.execution += "preload = on\n"; }
    const Server server(site.folder, site.setup);
    Both both(server);
    both.victim.send(get("/crash?now"));
    CHECK(both.victim.response().status == 0);
    const auto line = log_line(server, dead(both.victim_pid));
    CAPTURE(line);
    CHECK(contains(line, "worker died"));
    CHECK(contains(line, "request=\"GET /crash?now\" module=probe handler=crash backtrace=\""));
    CHECK(contains(line, " < probe.so+0x"));
    CHECK(contains(line, "abort"));
    CHECK(pid_behind(both.other) == both.other_pid);
    await_workers(server, 2);
}

TEST_CASE("a module that never returns is named while it is at it, and afterwards; the other worker goes on",
          "[integration][module][faults]") {
    FaultySite site({"pid", "loop"});
    site.setup.reeve = "watchdog = 2s\n";
    SECTION("without preload") { site.setup.execution += "preload = off\n"; }
    SECTION("with preload") { site.setup.execution += "preload = on\n"; }
    const Server server(site.folder, site.setup);
    Both both(server);
    both.victim.send(get("/loop"));
    const std::string named = " request=\"GET /loop\" module=probe handler=loop";
    CHECK(contains(log_line(server, "worker is stuck slot="), named));
    CHECK(pid_behind(both.other) == both.other_pid);
    CHECK(both.victim.response().status == 0);
    CHECK(contains(log_line(server, "worker is stuck and is aborted"), named));
    const auto line = log_line(server, dead(both.victim_pid));
    CAPTURE(line);
    CHECK(contains(line, named));
    CHECK(contains(line, "probe.so+0x"));
    CHECK(pid_behind(both.other) == both.other_pid);
    await_workers(server, 2);
}

TEST_CASE("a worker that leaves no note is known by what it was at", "[integration][module][faults]") {
    FaultySite site({"pid", "loop"});
    const Server server(site.folder, site.setup);
    Both both(server);
    both.victim.send(get("/loop"));
    eventually("it is at it", [&] {
        const auto now = server.status();
        return std::any_of(now.workers.begin(), now.workers.end(),
                           [](const auto& worker) { return worker.in_flight == "GET /loop"; });
    });
    ::kill(both.victim_pid, SIGKILL);
    CHECK(
        contains(log_line(server, dead(both.victim_pid)), "request=\"GET /loop\" module=probe handler=loop"));
    CHECK(pid_behind(both.other) == both.other_pid);
}

TEST_CASE("a module that crashes while it is loaded is named", "[integration][module][faults]") {
    FaultySite site({"pid"});
    site.setup.execution += "preload = off\n";
    const Server server(site.folder, site.setup);
    Both both(server);
    const auto flag = site.folder.write("crash", "");
    ::kill(both.victim_pid, SIGKILL);
    CHECK(contains(log_line(server, "ending=\"signal SIGABRT"), " module=probe"));
    CHECK(pid_behind(both.other) == both.other_pid);
    std::filesystem::remove(flag);
    await_workers(server, 2);
}

TEST_CASE("a process that holds too much is replaced, and the log says which modules it has loaded",
          "[integration][module][faults]") {
    FaultySite site({"pid", "leak"});
    site.setup.execution += "max_memory = 128m\n";
    SECTION("without preload") { site.setup.execution += "preload = off\n"; }
    SECTION("with preload") { site.setup.execution += "preload = on\n"; }
    const Server server(site.folder, site.setup);
    Both both(server);
    both.victim.send(get("/leak?140000000"));
    CHECK(both.victim.response().status == 200);
    const auto line = log_line(server, "worker is replaced");
    CAPTURE(line);
    CHECK(contains(line, " pid=" + std::to_string(both.victim_pid) + " cause=max_memory rss_bytes="));
    CHECK(contains(line, " max_memory=134217728 modules_loaded=probe"));
    CHECK(pid_behind(both.other) == both.other_pid);
}

TEST_CASE("a module in a process of a pool is named, whatever it does",
          "[integration][module][pool][faults]") {
    const std::string pool = "[pool numbers]\nrun = module probe crash\nsize = 1\n";
    const std::string route = "[route member]\npath = /member\npool = numbers\n";
    SECTION("a function that crashes") {
        FaultySite site({"pid", "compute"}, pool);
        const Server server(site.folder, site.setup);
        CHECK(server.ask(post("/compute?dies", "")).status == 502);
        const auto line = log_line(server, "pool member died");
        CAPTURE(line);
        CHECK(contains(line, " module=probe function=dies backtrace=\""));
        CHECK(contains(line, " < probe.so+0x"));
        CHECK(server.ask(post("/compute?reverse", "abc")).body == "cba");
    }
    SECTION("a handler that crashes") {
        FaultySite site({"pid"}, pool + route);
        const Server server(site.folder, site.setup);
        CHECK(server.get("/member?x").status == 502);
        CHECK(contains(log_line(server, "pool member died"),
                       "request=\"GET /member?x\" module=probe handler=crash backtrace=\""));
    }
    SECTION("a function that never returns") {
        FaultySite site({"pid", "compute"}, pool + "timeout = 300ms\nkill_grace = 100ms\n");
        const Server server(site.folder, site.setup);
        CHECK(server.ask(post("/compute?spins", "")).status == 504);
        CHECK(contains(log_line(server, "pool task takes too long"),
                       "timeout_ms=300 module=probe function=spins"));
        CHECK(contains(log_line(server, "pool member left"), " module=probe function=spins"));
        CHECK(server.ask(post("/compute?reverse", "abc")).body == "cba");
    }
    SECTION("a function that leaks") {
        FaultySite site({"pid", "compute"}, pool + "max_memory = 128m\n");
        const Server server(site.folder, site.setup);
        const auto before = server.ask(post("/compute?leaks", "140000000")).body;
        const auto line = log_line(server, "pool member is replaced");
        CAPTURE(line);
        CHECK(contains(line, " pid=" + before + " "));
        CHECK(contains(line, " max_memory=134217728 modules_loaded=probe"));
        eventually("another one computes",
                   [&] { return server.ask(post("/compute?pid", "")).body != before; });
    }
}

TEST_CASE("a module in a thread is named", "[integration][module][threads][faults]") {
    FaultySite site({"pid", "blocks", "block_dies"},
                    "[pool threads]\nkind = thread\nsize = 1\ntimeout = 300ms\n");
    const Server server(site.folder, site.setup);
    SECTION("when it takes too long") {
        CHECK(server.get("/blocks?1500").status == 504);
        CHECK(contains(log_line(server, "a task of a thread takes too long"),
                       "about=\"GET /blocks?1500\" module=probe handler=blocks limit_ms=300"));
    }
    SECTION("when it crashes") {
        Both both(server);
        both.victim.send(get("/block_dies"));
        CHECK(both.victim.response().status == 0);
        const auto line =
            log_line(server, " pid=" + std::to_string(both.victim_pid) + " pool=threads ending=");
        CAPTURE(line);
        CHECK(contains(line, "request=\"GET /block_dies\" module=probe handler=block_dies backtrace=\""));
        CHECK(pid_behind(both.other) == both.other_pid);
    }
}
