// Reloads of the real program while clients ask.
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "tests/integration/check.h"
#include "tests/integration/load.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

std::set<pid_t> worker_pids(const Server& server) {
    std::set<pid_t> pids;
    for (const auto& worker : server.status().workers)
        if (worker.pid != 0) pids.insert(worker.pid);
    return pids;
}

/// The inodes of the TCP sockets that a process has.
std::set<std::string> sockets_of(pid_t pid) {
    std::set<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(entry, gone).string();
        if (!target.starts_with("socket:[")) continue;
        const auto inode = target.substr(8, target.size() - 9);
        if (contains(contents("/proc/net/tcp"), " " + inode + " ")) all.insert(inode);
    }
    return all;
}

}  // namespace

TEST_CASE("reloads between two and five workers lose no request", "[integration][reload]") {
    const TemporaryFolder folder;
    Setup setup{.execution = GENERATE(std::string("accept = reuseport\n"), std::string("accept = shared\n"))};
    const auto execution = setup.execution;
    setup.execution += "workers = 2\n";
    const Server server(folder, setup);
    Load load(server.port(), 4, 4);
    std::set<pid_t> seen = worker_pids(server);
    for (int round = 0; round < 12; ++round) {
        setup.execution = execution + "workers = " + (round % 2 == 0 ? "5" : "2") + "\n";
        write_config(folder, setup, server.port());
        const auto asked = load.answered();
        const Ran ran = server.command({"-s", "reload"});
        INFO(ran.errors);
        CHECK(ran.status == 0);
        CHECK(contains(ran.output, "generation " + std::to_string(round + 2) + " serves"));
        for (const auto pid : worker_pids(server)) seen.insert(pid);
        eventually("clients go on", [&] { return load.answered() > asked + 20; });
    }
    CHECK(load.finish() == "");
    await_workers(server, 2);
    CHECK(seen.size() >= 2 + 6 * (5 + 2));  // nobody served twice
    eventually("every request is counted once", [&] {
        const auto status = run({reeve(), "status", "--json", "--control", folder.path("control")}).output;
        const auto at = status.find("\"requests_total\": ");  // the master's own come first
        return at != std::string::npos && std::stoull(status.substr(at + 18)) == load.answered();
    });
}

TEST_CASE("a reload that is refused says where and changes nothing", "[integration][reload][knobs]") {
    const TemporaryFolder folder;
    Setup setup;
    const Server server(folder, setup);
    const auto before = worker_pids(server);
    setup.server = "no_such_key = 1\n";
    write_config(folder, setup, server.port());
    const Ran refused = server.command({"-s", "reload", "--control", folder.path("control")});
    CHECK(refused.status == 2);
    CHECK(contains(refused.errors, "reeve.ini:8: "));
    CHECK(contains(refused.errors, "no_such_key"));

    setup.server = "listen = 192.0.2.1:81\n";  // nobody's address
    write_config(folder, setup, server.port());
    const Ran failed = server.command({"-s", "reload"});
    CHECK(failed.status == 1);
    CHECK(contains(failed.errors, "192.0.2.1:81"));

    std::filesystem::remove(server.config());
    CHECK(server.command({"-s", "reload", "--control", folder.path("control")}).status == 2);
    CHECK(worker_pids(server) == before);
    CHECK(server.get("/").status == 200);
    CHECK(run({reeve(), "-s", "quit", "--control", folder.path("control")}).status == 0);
}

TEST_CASE("workers that cannot start fail the reload, not the server", "[integration][reload]") {
    if (::geteuid() != 0) return;  // only root changes the user
    const TemporaryFolder folder;
    Setup setup;
    const Server server(folder, setup);
    setup.reeve = "user = nobody_of_that_name\n";
    write_config(folder, setup, server.port());
    const Ran failed = server.command({"-s", "reload"});
    CHECK(failed.status == 1);
    CHECK(contains(failed.errors, "nobody_of_that_name does not exist"));
    CHECK(server.get("/").status == 200);
    await_workers(server, 2);
}

TEST_CASE("a download goes on over a reload until it is whole", "[integration][reload]") {
    const TemporaryFolder folder;
    const std::string text(8 << 20, 'x');
    folder.write("www/large", text);
    Setup setup{.routes = "[route files]\npath = /\nfiles = @folder@/www\n"};
    const Server server(folder, setup);
    Client slow = server.connect_slow();
    slow.send(get("/large"));
    const auto head = slow.head();
    REQUIRE(head.status == 200);
    std::string got = slow.take(100'000);
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    CHECK(server.get("/large").body.size() == text.size());
    got += slow.take(text.size() - got.size());
    CHECK((got == text));
    slow.close();
    await_workers(server, 2);
}

TEST_CASE("a download that takes longer than shutdown_timeout is cut, and its process ends",
          "[integration][reload]") {
    const TemporaryFolder folder;
    folder.write("www/large", std::string(64 << 20, 'x'));
    const Server server(folder, {.reeve = "shutdown_timeout = 500ms\n",
                                 .routes = "[route files]\npath = /\nfiles = @folder@/www\n"});
    Client slow = server.connect_slow();
    slow.send(get("/large"));
    REQUIRE(slow.head().status == 200);
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    await_workers(server, 2);
    CHECK(slow.rest().size() < 64u << 20);
}

TEST_CASE("a burst of HUPs is at most two reloads, and the last configuration wins",
          "[integration][reload]") {
    const TemporaryFolder folder;
    Setup setup;
    const Server server(folder, setup);
    for (int count = 0; count < 50; ++count) {
        setup.execution = "workers = " + std::to_string(1 + count % 3) + "\n";
        write_config(folder, setup, server.port());
        server.signal(SIGHUP);
    }
    setup.execution = "workers = 4\n";
    write_config(folder, setup, server.port());
    server.signal(SIGHUP);
    await_workers(server, 4);
    CHECK(count(server.log(), "generation serves") <= 3);  // the first one, and two more
}

TEST_CASE("addresses come and go; what stays is the same socket", "[integration][reload]") {
    const TemporaryFolder folder;
    Setup setup;
    const Server server(folder, setup);
    const auto before = sockets_of(server.pid());
    REQUIRE_FALSE(before.empty());
    if (model() == "event") CHECK(before.size() == 2);  // one for each worker
    const auto second = free_port();
    setup.server = "listen = 127.0.0.1:" + std::to_string(second) + "\nlisten = unix:@folder@/web.sock\n";
    write_config(folder, setup, server.port());
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    CHECK(Client::accepted(second));
    CHECK(std::filesystem::exists(folder.path("web.sock")));
    const auto wider = sockets_of(server.pid());
    for (const auto& socket : before) CHECK(wider.contains(socket));

    setup.server = "";
    write_config(folder, setup, server.port());
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    eventually("the address is given up", [&] { return !Client::accepted(second); });
    CHECK_FALSE(std::filesystem::exists(folder.path("web.sock")));
    CHECK(server.get("/").status == 200);
    for (const auto& socket : before) CHECK(sockets_of(server.pid()).contains(socket));
}

TEST_CASE("an address may become a part of itself and back, without a request lost",
          "[integration][reload]") {
    const TemporaryFolder folder;
    const auto port = free_port();
    const auto config = [&](const std::string& host) {
        folder.write("reeve.ini", "[reeve]\ncontrol = " + folder.path("control") +
                                      "\npid_file = " + folder.path("pid") +
                                      "\n[execution]\nworkers = 2\n[server s]\nlisten = " + host + ":" +
                                      std::to_string(port) + "\n[route a]\npath = /\nrespond = 200 \"x\"\n");
    };
    const Server server(folder, {.port = port});
    Load load(server.port(), 2, 2);
    for (const char* host : {"0.0.0.0", "127.0.0.1", "0.0.0.0"}) {
        config(host);
        const auto asked = load.answered();
        const Ran ran = server.command({"-s", "reload"});
        INFO(host << " " << ran.errors);
        CHECK(ran.status == 0);
        eventually("clients go on", [&] { return load.answered() > asked + 20; });
    }
    CHECK(load.finish() == "");
}

TEST_CASE("a worker restarted by hand loses no request", "[integration][reload]") {
    const TemporaryFolder folder;
    const Server server(folder);
    Load load(server.port(), 3, 3);
    for (int round = 0; round < 4; ++round) {
        const auto before = server.status().workers[0].pid;
        Client control(folder.path("control"));
        control.send("worker restart 0\n");
        CHECK(control.rest() == "ok\n");
        eventually("another process has the seat", [&] {
            const auto now = server.status().workers;
            return now.size() >= 2 && now[0].pid != before && now[0].state == "ready";
        });
    }
    CHECK(load.finish() == "");
}

TEST_CASE("workers that served enough are replaced without a request lost", "[integration][reload]") {
    const TemporaryFolder folder;
    const Server server(folder, {.execution = "workers = 2\nmax_requests = 300\n"});
    Load load(server.port(), 3, 3);
    eventually("some were replaced", [&] { return count(server.log(), "cause=max_requests") >= 4; });
    CHECK(load.finish() == "");
}
