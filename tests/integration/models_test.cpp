// What each execution model does that the others do not.
#include <signal.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/integration/check.h"
#include "tests/integration/load.h"
#include "tests/integration/origin.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

const std::string routes =
    "[route who]\npath = = /who\nrespond = 200 \"$pid\"\n"
    "[route live]\npath = = /live\nhealth = live\n"
    "[route metrics]\npath = = /metrics\nmetrics = on\n"
    "[route files]\npath = /files/\nfiles = @folder@/www\nstrip_prefix = on\n"
    "[route any]\npath = /\nrespond = 200 \"hello\"\n";

Setup with(const std::string& execution) {
    return {.execution = execution, .server = "access_log = @folder@/access.log\n", .routes = routes};
}

/// A request that has begun and is not over: its place is taken.
Client begun(const Server& server) {
    Client client = server.connect();
    client.send("POST /begun HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    CHECK(client.response().status == 100);
    return client;
}

Client asking(const Server& server, const std::string& target = "/") {
    Client client = server.connect();
    client.send(get(target));
    return client;
}

nlohmann::json status(const Server& server) {
    return nlohmann::json::parse(server.command({"status", "--json"}).output);
}

std::uint64_t waiting(const Server& server) {
    std::uint64_t sum = 0;
    const auto now = status(server);
    for (const auto& worker : now.at("workers")) sum += worker.at("waiting").get<std::uint64_t>();
    return sum;
}

void until_waiting(const Server& server, std::uint64_t count) {
    eventually(std::to_string(count) + " wait", [&] { return waiting(server) == count; });
}

std::uint64_t total(const Server& server, const std::string& name) {
    return status(server).at("master").at(name).get<std::uint64_t>();
}

/// Configurations in which one request takes the only place, and how long others wait for it.
const std::vector<std::string> one_place{
    "model = single\n", "model = acceptor\n", "model = event\nworkers = 1\nconcurrency = 1\n",
    "model = readers\nloops = 1\nconcurrency = 1\n", "model = threads\nloops = 1\nconcurrency = 1\n"};

pid_t worker_of(const Server& server) { return server.status().workers.at(0).pid; }

/// By number, of the only worker.
std::map<std::string, nlohmann::json> executors(const Server& server) {
    std::map<std::string, nlohmann::json> all;
    const auto now = status(server);
    for (const auto& each : now.at("workers").at(0).at("executors"))
        all[each.at("kind").get<std::string>() + std::to_string(each.at("number").get<int>())] = each;
    return all;
}

}  // namespace

TEST_CASE("a request waits until the one before is over; connections that are idle keep nobody waiting",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    const Server server(folder, with(GENERATE(from_range(one_place))));
    Client idle = asking(server);
    CHECK(idle.response().body == "hello");
    const Client silent = server.connect();
    Client first = begun(server);
    Client second = asking(server, "/second"), third = asking(server, "/third");
    until_waiting(server, 2);
    CHECK_FALSE(second.heard(100));
    idle.send(get("/who"));
    until_waiting(server, 3);

    first.send("12345");
    CHECK(first.response().body == "hello");
    CHECK(second.response().body == "hello");
    CHECK(third.response().body == "hello");
    CHECK(idle.response().status == 200);
    CHECK(waiting(server) == 0);
    second.send(get("/again"));  // connections are kept
    CHECK(second.response().body == "hello");
}

TEST_CASE("who finds no room to wait, or waits too long, is told so at once",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    const Server server(folder, with(GENERATE(from_range(one_place)) + "queue = 1\nqueue_timeout = 300ms\n"));
    Client first = begun(server);
    const auto start = Clock::now();
    Client second = asking(server);
    until_waiting(server, 1);
    Client third = asking(server);
    const Response full = third.response();
    CHECK(full.status == 503);
    CHECK(full.field("Retry-After") == "1");
    CHECK(third.ends());
    CHECK(second.response().status == 503);
    CHECK(second.ends());
    CHECK(Clock::now() - start >= std::chrono::milliseconds(250));
    CHECK(total(server, "queue_full_total") == 1);
    CHECK(total(server, "queue_late_total") == 1);
    CHECK(contains(server.log(), "refused why=queue_full waiting=1"));
    first.send("12345");
    CHECK(first.response().status == 200);
    CHECK(server.get("/").status == 200);
    const std::string metrics = server.get("/metrics").body;
    CHECK(contains(metrics, "reeve_queue_refused_total{reason=\"full\"} 1\n"));
    CHECK(contains(metrics, "reeve_queue_refused_total{reason=\"timeout\"} 1\n"));
}

TEST_CASE("a client that leaves while it waits is forgotten, and its request never begun",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    Server server(folder, with(GENERATE(from_range(one_place))));
    Client first = begun(server);
    Client leaving = asking(server, "/leaves"), staying = asking(server, "/stays");
    until_waiting(server, 2);
    leaving.close();
    until_waiting(server, 1);
    first.send("12345");
    CHECK(first.response().status == 200);
    CHECK(staying.response().status == 200);
    server.stop();
    const std::string log = contents(folder.path("access.log"));
    CHECK(contains(log, "/stays"));
    CHECK_FALSE(contains(log, "/leaves"));
}

TEST_CASE("a drain serves those who wait", "[integration][models][knobs]") {
    const TemporaryFolder folder;
    Server server(folder, with(GENERATE(from_range(one_place))));
    Client first = begun(server), second = asking(server);
    until_waiting(server, 1);
    server.signal(SIGQUIT);
    eventually("it drains", [&] { return contains(server.log(), "draining connections="); });
    first.send("12345");
    CHECK(first.response().status == 200);
    const Response last = second.response();
    CHECK(last.status == 200);
    CHECK(last.field("Connection") == "close");
    first.close();
    second.close();
    CHECK(server.wait() == 0);
}

TEST_CASE("in a pool so many requests run at once as there are loops, whichever connections they are of",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    folder.write("www/large", std::string(3 << 20, 'x'));
    const Server server(folder, with("model = pool\nloops = 3\n"));
    std::vector<Client> kept;
    for (int count = 0; count < 30; ++count) {
        kept.push_back(asking(server));
        CHECK(kept.back().response().status == 200);
    }
    CHECK(executors(server).at("acceptor0").at("connections") == 30);
    std::vector<Client> running;
    for (int count = 0; count < 3; ++count) running.push_back(begun(server));
    auto all = executors(server);
    for (const std::string name : {"loop1", "loop2", "loop3"}) CHECK(all.at(name).at("connections") == 1);
    kept[7].send(get("/who"));
    until_waiting(server, 1);
    running[1].send("12345");
    CHECK(running[1].response().status == 200);
    CHECK(kept[7].response().status == 200);
    for (Client& client : kept) {  // each goes to a loop and comes back, again and again
        client.send(get("/files/large") + get("/who"));
        CHECK(client.response().body.size() == 3 << 20);
        CHECK(client.response().status == 200);
    }
    for (const int client : {0, 2}) {
        running[static_cast<std::size_t>(client)].send("12345");
        CHECK(running[static_cast<std::size_t>(client)].response().status == 200);
    }
    eventually("all are back", [&] { return executors(server).at("acceptor0").at("connections") == 33; });
}

TEST_CASE("a connection that travels between loops has its limits as any other",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    Setup setup = with("model = pool\nloops = 2\n");
    setup.server +=
        "keepalive_requests = 3\nkeepalive_timeout = 400ms\nheader_timeout = 400ms\nconnections_max = 2\n";
    const Server server(folder, setup);
    Client client = server.connect();
    for (int count = 1; count <= 3; ++count) {
        client.send(get("/"));
        CHECK(client.response().field("Connection") == (count == 3 ? "close" : ""));
    }
    CHECK(client.ends());
    client.close();
    Client silent = server.connect();
    CHECK(silent.ends());
    Client idle = asking(server);
    CHECK(idle.response().status == 200);
    CHECK(idle.ends());
    silent.close();
    idle.close();
    eventually("they have gone", [&] { return server.status().workers.at(0).connections == 0; });
    Client one = asking(server), two = asking(server), three = asking(server);
    CHECK(one.response().status == 200);
    CHECK(two.response().status == 200);
    CHECK(three.response().status == 503);
    CHECK(total(server, "refused_total") == 1);
}

TEST_CASE("readers get connections in turn, and keep them", "[integration][models][knobs]") {
    const TemporaryFolder folder;
    const Server server(folder, with("model = readers\nloops = 3\n"));
    std::vector<Client> clients;
    for (int count = 0; count < 30; ++count) {
        clients.push_back(asking(server));
        CHECK(clients.back().response().status == 200);
    }
    const auto all = executors(server);
    for (const std::string name : {"loop1", "loop2", "loop3"}) {
        CHECK(all.at(name).at("connections") == 10);
        CHECK(all.at(name).at("requests_total") == 10);
    }
    for (int count = 0; count < 20; ++count) {  // skew: only every third is busy
        clients[0].send(get("/"));
        CHECK(clients[0].response().status == 200);
    }
    CHECK(executors(server).at("loop1").at("requests_total") == 30);
}

TEST_CASE("a loop that is frozen gets nothing new, is named, and costs its worker in the end",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    Setup setup =
        with(GENERATE(std::string("model = readers\nloops = 3\n"),
                      std::string("model = threads\nloops = 3\n"), std::string("model = pool\nloops = 3\n")));
    setup.reeve = "watchdog = 8s\n";
    const Server server(folder, setup);
    const pid_t worker = worker_of(server);
    const auto loops = threads_named(worker, "loop ");
    REQUIRE(loops.size() == 3);
    std::vector<Client> held;
    if (contains(setup.execution, "pool"))  // so that the one to be frozen has a request
        for (int count = 0; count < 3; ++count) held.push_back(begun(server));
    {
        const FrozenThread frozen(loops[1]);
        eventually("it is named", [&] { return contains(server.log(), "worker is stuck slot=0"); });
        CHECK(contains(server.log(), " loop=1 silent_ms="));
        for (Client& client : held) client.send("12345");
        for (int count = 0; count < 30; ++count) CHECK(server.get("/").status == 200);
        CHECK(worker_of(server) == worker);
    }
    eventually("it moves again", [&] { return contains(server.log(), "worker moves again slot=0"); });
    for (Client& client : held) CHECK(client.response().status == 200);
    for (int count = 0; count < 30; ++count) CHECK(server.get("/").status == 200);
    CHECK(worker_of(server) == worker);
}

TEST_CASE("a loop that stays frozen is aborted, and the log says where it was",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    Setup setup = with("model = threads\nloops = 2\n");
    setup.reeve = "watchdog = 1s\ncore_max = 0\n";
    const Server server(folder, setup);
    const pid_t worker = worker_of(server);
    auto frozen = std::make_unique<FrozenThread>(threads_named(worker, "loop 1").at(0));
    eventually("it is aborted",
               [&] { return contains(server.log(), "worker is stuck and is aborted slot=0"); });
    CHECK(contains(server.log(), " loop=1 silent_ms="));
    frozen.reset();  // then the signal gets through
    eventually("it is replaced", [&] {
        const auto now = server.status().workers.at(0);
        return now.pid != worker && now.state == "ready";
    });
    CHECK(contains(server.log(), "worker died slot=0"));
    CHECK(server.get("/").status == 200);
}

TEST_CASE("handlers run on threads, and what is asked of the server itself does not wait for them",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    folder.write("www/small", "small");
    folder.write("www/large", std::string(3 << 20, 'x'));
    Server server(folder, with("model = message\nthreads = 2\nqueue = 2\n"));
    CHECK(server.get("/files/small").body == "small");
    CHECK(server.get("/files/large").body == std::string(3 << 20, 'x'));
    CHECK(server.get("/files/none").status == 404);
    const auto threads = threads_named(worker_of(server), "handler ");
    REQUIRE(threads.size() == 2);
    auto one = std::make_unique<FrozenThread>(threads[0]), other = std::make_unique<FrozenThread>(threads[1]);
    Client first = asking(server, "/first"), second = asking(server, "/second");
    Client third = asking(server, "/third"), leaving = asking(server, "/leaves");
    until_waiting(server, 2);
    Client fifth = asking(server);
    const Response full = fifth.response();
    CHECK(full.status == 503);
    CHECK(full.field("Retry-After") == "1");
    fifth.send(get("/live"));
    CHECK(fifth.response().body == "live\n");  // the connection is as good as before
    leaving.close();
    until_waiting(server, 1);
    second.half_close();  // somebody works for it already, and it waits for that
    Client late = asking(server, "/files/small");
    until_waiting(server, 2);
    CHECK_FALSE(first.heard(50));
    one.reset();
    other.reset();
    CHECK(first.response().body == "hello");
    CHECK(second.response().body == "hello");
    CHECK(third.response().body == "hello");
    CHECK(late.response().body == "small");
    CHECK(waiting(server) == 0);
    server.stop();
    const std::string log = contents(folder.path("access.log"));
    CAPTURE(log);
    CHECK(contains(log, "\"GET /third HTTP/1.1\" 200"));
    CHECK(contains(log, "\"GET /leaves HTTP/1.1\" 0 0"));
}

TEST_CASE("a request that no thread takes in time is answered 503", "[integration][models][knobs]") {
    const TemporaryFolder folder;
    const Server server(folder, with("model = message\nthreads = 1\nqueue_timeout = 200ms\n"));
    const FrozenThread frozen(threads_named(worker_of(server), "handler ").at(0));
    Client first = asking(server), second = asking(server);
    CHECK(second.response().status == 503);
    CHECK(total(server, "queue_late_total") == 1);
    CHECK(contains(server.log(), "requests refused why=queue_timeout"));
}

TEST_CASE("a page for an error that a thread finds may come from an upstream",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) {
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
    });
    Setup setup = with("model = " + GENERATE(std::string("event"), std::string("message")) + "\n");
    setup.routes = "[upstream u]\npeer = " + origin.address() +
                   "\n[route page]\npath = = /page\nproxy = u\n"
                   "[route files]\npath = /\nfiles = @folder@/www\nerror_page = 404 /page\n";
    const Server server(folder, setup);
    const Response answer = server.get("/none");
    CHECK(answer.status == 404);
    CHECK(answer.body == "page");
}

TEST_CASE("a process has one connection, and there are as many as it takes", "[integration][models][knobs]") {
    const TemporaryFolder folder;
    Server server(folder,
                  with("model = process\nworkers = 2\nspares_min = 2\nspares_max = 3\nprocesses_max = 12\n"));
    std::vector<Client> clients;
    std::set<std::string> pids;
    for (int count = 0; count < 12; ++count) {
        clients.push_back(asking(server, "/who"));
        pids.insert(clients.back().response().body);
    }
    CHECK(pids.size() == 12);
    CHECK(server.status().workers.size() == 12);
    for (int count = 0; count < 8; ++count) clients.pop_back();
    eventually("those that are surplus have gone", [&] { return server.status().workers.size() == 7; });
    for (Client& client : clients) {
        client.send(get("/who"));
        CHECK(client.response().status == 200);
    }
    for (int count = 0; count < 3; ++count) clients.push_back(asking(server, "/who"));
    for (std::size_t count = 4; count < 7; ++count) CHECK(clients[count].response().status == 200);
    CHECK(server.stop() == 0);
}

TEST_CASE("when no more processes may be, who waits gets the place of one that is quiet",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    const Server server(folder, with("model = process\nworkers = 1\nspares_min = 1\nprocesses_max = 3\n"));
    std::vector<Client> clients;
    for (int count = 0; count < 3; ++count) {
        clients.push_back(asking(server));
        CHECK(clients.back().response().status == 200);
    }
    Client next = asking(server);
    CHECK(next.response().status == 200);
    CHECK(contains(server.log(), "clients wait, and there are as many workers as there may be"));
    int ended = 0;
    for (Client& client : clients)
        if (client.heard(1) && client.ends()) ++ended;
    CHECK(ended >= 1);
    clients.clear();
    next.close();
    eventually("there is room again", [&] { return contains(server.log(), "there are idle workers again"); });
}

TEST_CASE("a process that dies costs its own client alone, and another comes in its place",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    const Server server(folder, with("model = process\nworkers = 3\nspares_min = 1\nprocesses_max = 6\n"));
    Client victim = asking(server, "/who"), other = asking(server, "/who");
    const pid_t pid = std::atoi(victim.response().body.c_str());
    CHECK(other.response().status == 200);
    ::kill(pid, SIGKILL);
    CHECK(victim.ends());
    other.send(get("/"));
    CHECK(other.response().body == "hello");
    eventually("the log tells", [&] { return contains(server.log(), "worker died slot="); });
    CHECK(server.get("/").status == 200);
}

TEST_CASE("a reload leads from each model to each other without a request lost",
          "[integration][models][knobs]") {
    const TemporaryFolder folder;
    std::vector<std::string> all;
    for (const std::string name :
         {"single", "acceptor", "pool", "readers", "message", "threads", "event", "process"})
        all.push_back("model = " + name + (name == "process" ? "\nprocesses_max = 20\n" : "\nworkers = 2\n"));
    Setup setup = with(all.back());
    const Server server(folder, setup);
    Load load(server.port(), 2, 2);
    for (std::size_t step = 1; step <= 8; step += 3)
        for (const auto& execution : all) {
            if (step > 1 && execution != all[(step * 5) % 8]) continue;
            setup.execution = execution;
            write_config(folder, setup, server.port());
            const Ran reloaded = server.command({"-s", "reload"});
            CAPTURE(execution, reloaded.errors);
            REQUIRE(reloaded.status == 0);
            const auto before = load.answered();
            eventually("the new one answers", [&] { return load.answered() > before + 20; });
        }
    CHECK(load.finish() == "");
}
