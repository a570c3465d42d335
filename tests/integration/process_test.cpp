// Master and workers as processes: start, death, drain, and what is left of them.
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

const std::string who =
    "[route who]\npath = = /who\nrespond = 200 \"$worker\"\nkeepalive_requests = 1\n"
    "[route stay]\npath = = /stay\nrespond = 200 \"$worker\"\n"
    "[route ready]\npath = = /ready\nhealth = ready\n"
    "[route any]\npath = /\nrespond = 200 \"hello\"\n";

const std::vector<std::string> accept_modes{"accept = reuseport\n", "accept = shared\n"};

/// The slot that answers a client that has just come.
std::string answering(const Server& server) { return server.get("/who").body; }

/// Clients come until each of these slots has answered one. They stay: of processes that are idle the kernel
/// may wake the same one for each.
void until_answering(const Server& server, std::set<std::string> slots) {
    std::vector<Client> staying;
    eventually("all slots that should have answered", [&] {
        staying.push_back(server.connect());
        staying.back().send(get("/stay"));
        slots.erase(staying.back().response().body);
        return slots.empty();
    });
}

bool has_slot(const Status& status, std::uint32_t slot, const std::string& state) {
    return status.workers.at(slot).state == state;
}

std::string pattern(std::size_t size) {
    std::string text;
    text.reserve(size);
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i * 7919) + ",";
    text.resize(size);
    return text;
}

/// A request that its worker has and waits for: its head is there, its body is not.
Client in_flight(const Server& server, const std::string& target) {
    Client client = server.connect();
    client.send("POST " + target +
                " HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    CHECK(client.response().status == 100);
    return client;
}

}  // namespace

TEST_CASE("every worker of a started server answers", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder,
                        {.execution = just_workers(2) + GENERATE(from_range(accept_modes)), .routes = who});
    CHECK(contains(server.log(), "ready version="));
    until_answering(server, {"0", "1"});
    CHECK(contents(folder.path("pid")) == std::to_string(server.pid()) + "\n");

    const Status status = server.status();
    CHECK(status.master == server.pid());
    CHECK(status.state == "serving");
    REQUIRE(status.workers.size() == 2);
    CHECK(has_slot(status, 0, "ready"));
    CHECK(has_slot(status, 1, "ready"));
    CHECK(server.processes().size() == 3);
    const Ran printed = server.command({"status", "--json"});
    CHECK(printed.status == 0);
    CHECK(parse_status(printed.output).master == server.pid());
    CHECK(contains(server.command({"status"}).output, "127.0.0.1:" + std::to_string(server.port())));
}

TEST_CASE("a killed worker is replaced, and the log says what it was doing", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder,
                        {.execution = just_workers(2) + GENERATE(from_range(accept_modes)), .routes = who});
    Client victim = in_flight(server, "/fatal");
    const Status before = server.status();
    const std::uint32_t slot = before.workers[0].in_flight.empty() ? 1 : 0;
    CHECK(before.workers[slot].in_flight == "POST /fatal");

    ::kill(before.workers[slot].pid, SIGKILL);

    CHECK(victim.ends());
    eventually("the slot has another worker", [&] {
        const Status now = server.status();
        return has_slot(now, slot, "ready") && now.workers[slot].pid != before.workers[slot].pid;
    });
    const Status after = server.status();
    CHECK(after.workers[slot].restarts == 1);
    CHECK(after.workers[1 - slot].pid == before.workers[1 - slot].pid);
    const std::string log = server.log();
    CHECK(contains(log, "worker died slot=" + std::to_string(slot)));
    CHECK(contains(log, "signal SIGKILL"));
    CHECK(contains(log, "request=\"POST /fatal\""));
    until_answering(server, {"0", "1"});
}

TEST_CASE("connections that wait for a worker that dies are answered", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder,
                        {.execution = "workers = 2\n" + GENERATE(from_range(accept_modes)), .routes = who});
    const Status before = server.status();
    freeze(before.workers[0].pid);  // its clients wait in the queue
    std::vector<Client> waiting;
    for (int i = 0; i < 20; ++i) {
        waiting.push_back(server.connect());
        waiting.back().send(get("/"));
    }
    ::kill(before.workers[0].pid, SIGKILL);
    int answered = 0;
    for (Client& client : waiting) answered += client.response().status == 200 ? 1 : 0;
    CHECK(answered == 20);
}

TEST_CASE("a worker that keeps dying backs off while the others serve", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = who});
    eventually("the master hesitates to start another worker", [&] {
        const Status status = server.status();
        if (has_slot(status, 0, "ready")) ::kill(status.workers[0].pid, SIGKILL);
        return has_slot(status, 0, "backing_off");
    });
    CHECK(contains(server.log(), "worker keeps dying, will retry slot=0"));
    CHECK(server.get("/").status == 200);
    eventually("the slot serves again", [&] { return has_slot(server.status(), 0, "ready"); });
    CHECK(server.status().workers[0].restarts >= 2);
    until_answering(server, {"0"});
}

TEST_CASE("TERM ends all processes and frees the port", "[integration][process]") {
    const TemporaryFolder folder;
    Server server(folder, {.execution = "workers = 2\n" + GENERATE(from_range(accept_modes)), .routes = who});
    Client idle = server.connect();
    idle.send(get("/"));
    CHECK(idle.response().status == 200);
    Client busy = in_flight(server, "/unfinished");

    server.signal(SIGTERM);

    CHECK(server.wait() == 0);
    CHECK(server.processes().empty());
    CHECK(idle.ends());
    CHECK(busy.ends());
    CHECK(is_free(server.port()));
    CHECK_FALSE(std::filesystem::exists(folder.path("pid")));
    CHECK_FALSE(std::filesystem::exists(folder.path("control")));
}

TEST_CASE("QUIT lets a download finish", "[integration][process]") {
    const TemporaryFolder folder;
    const std::string large = pattern(24 << 20);
    folder.write("www/large", large);
    Server server(folder, {.execution = "workers = 2\n" + GENERATE(from_range(accept_modes)),
                           .routes = "[route files]\npath = /\nfiles = @folder@/www\n"});
    Client slow = server.connect_slow();
    slow.send(get("/large"));
    const Response head = slow.head();
    CHECK(head.status == 200);

    server.signal(SIGQUIT);

    eventually("no new client is taken", [&] { return !Client::accepted(server.port()); });
    CHECK_FALSE(server.processes().empty());
    const std::string body = slow.take(std::stoull(head.field("Content-Length")));
    CHECK(body.size() == large.size());
    CHECK((body == large));
    CHECK(slow.ends());
    CHECK(server.wait() == 0);
    CHECK(server.processes().empty());
}

TEST_CASE("a drain ends at shutdown_timeout whatever clients do", "[integration][process]") {
    const TemporaryFolder folder;
    Server server(folder, {.reeve = "shutdown_timeout = 500ms\n", .routes = who});
    Client stuck = in_flight(server, "/never");
    CHECK(server.command({"-s", "quit"}).status == 0);
    CHECK(server.wait() == 0);
    CHECK(stuck.ends());
    CHECK(contains(server.log(), "drain took too long"));
}

TEST_CASE("in the drain_delay readiness is denied and clients are still served", "[integration][process]") {
    const TemporaryFolder folder;
    Server server(folder, {.reeve = "drain_delay = 10m\nshutdown_timeout = 20m\n", .routes = who});
    CHECK(server.get("/ready").status == 200);
    server.signal(SIGQUIT);
    for (const std::string slot : {"0", "1"})
        eventually("worker " + slot + " denies it", [&] {
            Client client = server.connect();
            client.send(get("/ready") + get("/who"));
            const int status = client.response().status;
            return client.response().body == slot && status == 503;
        });
    CHECK(server.get("/").status == 200);
    CHECK(server.status().state == "unready");
    CHECK(server.stop() == 0);
}

TEST_CASE("workers go when the master is killed, and a new one takes over what is left",
          "[integration][process]") {
    const TemporaryFolder folder;
    Setup setup{.execution = "workers = 2\n" + GENERATE(from_range(accept_modes)),
                .server = "listen = unix:@folder@/site\n",
                .routes = who};
    {
        Server killed(folder, setup);
        Client busy = in_flight(killed, "/last");
        killed.signal(SIGKILL);
        CHECK(killed.wait() == 128 + SIGKILL);
        busy.send("12345");
        CHECK(busy.response().status == 200);
        CHECK(busy.ends());
        busy.close();
        eventually("the workers are gone", [&] { return killed.processes().empty(); });
        CHECK(is_free(killed.port()));
        CHECK(std::filesystem::exists(folder.path("pid")));
        CHECK(std::filesystem::exists(folder.path("control")));
        CHECK(std::filesystem::exists(folder.path("site")));
        setup.port = killed.port();
    }
    const Server next(folder, setup);
    CHECK(next.get("/").status == 200);
    Client local(folder.path("site"));
    local.send(get("/"));
    CHECK(local.response().status == 200);
    CHECK(contents(folder.path("pid")) == std::to_string(next.pid()) + "\n");
}

TEST_CASE("a second instance is refused and told who serves", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder, {.routes = who});
    const Ran second = server.command({});
    CHECK(second.status == 1);
    CHECK(contains(second.errors, "already running as pid " + std::to_string(server.pid())));

    const TemporaryFolder other;
    const Ran stranger = run({reeve(), "-c", write_config(other, {}, server.port())});
    CHECK(stranger.status == 1);
    CHECK(contains(stranger.errors, "bind 127.0.0.1:" + std::to_string(server.port())));
    CHECK(contains(stranger.errors, "Address already in use"));

    CHECK(server.get("/").status == 200);
    CHECK(server.status().master == server.pid());
    CHECK(contents(folder.path("pid")) == std::to_string(server.pid()) + "\n");
}

TEST_CASE("a daemon's parent returns when it serves, not before", "[integration][process]") {
    const TemporaryFolder folder;
    Server server(folder, {.reeve = "daemon = on\nerror_log = @folder@/error.log\n", .routes = who});
    CHECK(server.get("/").status == 200);  // at once
    CHECK(server.status().state == "serving");
    CHECK(server.command({"-s", "stop"}).status == 0);
    CHECK(server.wait() == 0);
    CHECK(is_free(server.port()));
    CHECK(server.command({"-s", "stop"}).status == 1);
}

TEST_CASE("a daemon that cannot start says why to its parent", "[integration][process]") {
    const TemporaryFolder first, second;
    const Server server(first, {.routes = who});
    const std::string config =
        write_config(second, {.reeve = "daemon = on\nerror_log = @folder@/error.log\n"}, server.port());
    const Ran refused = run({reeve(), "-c", config});
    CHECK(refused.status == 1);
    CHECK(contains(refused.errors, "Address already in use"));
    CHECK_FALSE(std::filesystem::exists(second.path("pid")));
    CHECK_FALSE(std::filesystem::exists(second.path("control")));
}

TEST_CASE("no line of the access log is lost or doubled by reopening", "[integration][process]") {
    const TemporaryFolder folder;
    Server server(folder, {.execution = "workers = 2\n" + GENERATE(from_range(accept_modes)),
                           .server = "access_log = @folder@/access.log\n",
                           .routes = who});
    std::size_t asked = 0;
    for (; asked < 20; ++asked) CHECK(server.get("/before").status == 200);
    std::atomic<bool> over = false;
    std::thread load([&, port = server.port()] {
        while (!over.load()) {
            Client client(port);
            for (int i = 0; i < 10; ++i, ++asked) {
                client.send(get("/"));
                if (client.response().status != 200) return;
            }
        }
    });
    const auto lines = [&](const std::string& name) { return count(contents(folder.path(name)), "\n"); };
    std::filesystem::rename(folder.path("access.log"), folder.path("access.log.1"));
    CHECK(server.command({"-s", "reopen"}).status == 0);
    const auto first = lines("access.log.1");
    CHECK(count(contents(folder.path("access.log.1")), "GET /before ") == 20);
    eventually("lines come to the new file", [&] { return lines("access.log") > 0; });

    std::filesystem::rename(folder.path("access.log"), folder.path("access.log.2"));
    server.signal(SIGUSR1);
    eventually("the signal has reopened too", [&] { return count(server.log(), "logs reopened") == 2; });
    eventually("lines come to the newest file", [&] { return lines("access.log") > 0; });
    over = true;
    load.join();
    CHECK(server.stop() == 0);
    CHECK(lines("access.log.1") == first);  // nothing is written there after the answer
    CHECK(lines("access.log.1") + lines("access.log.2") + lines("access.log") == asked);
    CHECK_FALSE(contains(contents(folder.path("access.log")), "\n\n"));
}

TEST_CASE("Unix sockets and IPv6 are served too", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder, {.execution = "workers = 2\n" + GENERATE(from_range(accept_modes)),
                                 .server = "listen = unix:@folder@/site\nlisten = [::1]:@port@\n",
                                 .routes = "[route peer]\npath = /\nrespond = 200 \"$remote_addr\"\n"});
    CHECK(server.get("/").body == "127.0.0.1");
    Client six(server.port(), "::1");
    six.send(get("/"));
    CHECK(six.response().body == "::1");
    Client local(folder.path("site"));
    local.send(get("/"));
    CHECK(local.response().status == 200);
    CHECK(server.status().listeners.size() == 3);
}

TEST_CASE("a worker that stands still gets no new clients until it moves", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder, {.reeve = "watchdog = 12s\n",
                                 .execution = just_workers(2) + GENERATE(from_range(accept_modes)),
                                 .routes = who});
    const pid_t still = server.status().workers[0].pid;
    freeze(still);
    eventually("the master notices", [&] { return has_slot(server.status(), 0, "stuck"); });
    int served = 0;
    for (int i = 0; i < 30; ++i) served += answering(server) == "1" ? 1 : 0;
    CHECK(served == 30);
    ::kill(still, SIGCONT);
    eventually("it is ready again", [&] { return has_slot(server.status(), 0, "ready"); });
    until_answering(server, {"0"});
}

TEST_CASE("a worker that never moves again is replaced", "[integration][process]") {
    const TemporaryFolder folder;
    const Server server(folder, {.reeve = "watchdog = 2s\n", .routes = who});
    const pid_t still = server.status().workers[0].pid;
    freeze(still);
    eventually("another is there", [&] {
        const Status status = server.status();
        return has_slot(status, 0, "ready") && status.workers[0].pid != still;
    });
    CHECK(contains(server.log(), "worker is stuck and is aborted slot=0"));
}

TEST_CASE("WINCH lets the workers go and keeps the master", "[integration][process]") {
    const TemporaryFolder folder;
    Server server(folder, {.routes = who});
    server.signal(SIGWINCH);
    eventually("only the master is left", [&] { return server.processes().size() == 1; });
    eventually("it says so", [&] { return server.status().state == "idle"; });
    CHECK(server.stop() == 0);
}
