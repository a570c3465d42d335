// Process pools on the real server: how many run, who waits, what is killed, and what nobody notices.
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// A folder with a script that the pool runs for each task, and a place where it may write.
struct Site {
    explicit Site(const std::string& script) {
        const auto path = folder.write("task.sh", "#!/bin/sh\nout=" + folder.path("out") + "\n" + script);
        ::chmod(path.c_str(), 0755);
        ::mkdir(folder.path("out").c_str(), 0777);
        ::chmod(folder.path("out").c_str(), 0777);
    }
    /// `pool`: further lines of the pool.
    [[nodiscard]] Setup setup(const std::string& pool,
                              const std::string& run = "cgi @folder@/task.sh") const {
        return {.execution = "workers = 2\n",
                .routes =
                    "[route tasks]\npath = /\npool = work\n[route status]\npath = /status\nstatus = on\n"
                    "[route metrics]\npath = /metrics\nmetrics = on\n[pool work]\nrun = " +
                    run + "\n" + pool};
    }
    [[nodiscard]] std::string said(const std::string& name) const {
        return contents(folder.path("out/" + name));
    }
    /// Lines of a file that tasks write to.
    [[nodiscard]] std::size_t lines(const std::string& name) const { return count(said(name), "\n"); }
    TemporaryFolder folder;
};

json pool_of(const Server& server) {
    const auto status = json::parse(server.command({"status", "--json"}).output);
    return status["pools"].empty() ? json() : status["pools"].back();
}

/// Pids of members that have a task.
std::vector<pid_t> busy(const Server& server) {
    std::vector<pid_t> all;
    const auto pool = pool_of(server);  // kept over the loop
    for (const auto& member : pool["members"])
        if (member["state"] == "busy") all.push_back(member["pid"].get<pid_t>());
    return all;
}

bool lives(pid_t pid) { return ::kill(pid, 0) == 0; }

struct Asked {
    Client client;
    Clock::time_point begun = Clock::now();
    Response response{};
    std::chrono::milliseconds took{0};

    void await() {
        response = client.response();
        took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
    }
};

constexpr const char* answer = "printf 'Content-Type: text/plain\\nContent-Length: 4\\n\\ndone'\n";
/// One second, and how many are at it.
constexpr const char* one_second =
    "echo begin $$ $(date +%s%N) >> $out/log\nsleep 1\necho end $$ $(date +%s%N) >> $out/log\n";

/// The most that were at work together, by what they wrote.
int most_at_once(const std::string& log) {
    std::vector<std::pair<std::string, int>> events;
    std::istringstream lines(log);
    for (std::string what, pid, at; lines >> what >> pid >> at;)
        events.emplace_back(at, what == "begin" ? 1 : -1);
    std::sort(events.begin(), events.end());
    int now = 0, most = 0;
    for (const auto& [at, change] : events) most = std::max(most, now += change);
    return most;
}

}  // namespace

TEST_CASE("four at a time run, others wait no longer than they may, and the rest is refused at once",
          "[integration][pool][concurrent]") {
    const Site site(std::string(one_second) + answer);
    const Server server(site.folder, site.setup("size = 4\nqueue = 20\nqueue_timeout = 2s\n"));
    std::vector<std::thread> threads;
    std::vector<Asked> all;
    for (int i = 0; i < 100; ++i) all.push_back({server.connect()});
    for (auto& asked : all) {
        asked.begun = Clock::now();
        asked.client.send(get("/"));
    }
    for (auto& asked : all) threads.emplace_back([&] { asked.await(); });
    for (auto& thread : threads) thread.join();
    std::map<int, int> statuses;
    int at_once = 0;
    for (const auto& asked : all) {
        ++statuses[asked.response.status];
        // the queue's two seconds, a second of work, and what a busy machine needs
        CHECK(asked.took < 4500ms);
        if (asked.response.status != 503) continue;
        CHECK_FALSE(asked.response.field("Retry-After").empty());
        CHECK(asked.took < 3000ms);
        at_once += asked.took < 1000ms ? 1 : 0;
    }
    CAPTURE(statuses[200], statuses[503], at_once);
    CHECK(statuses[200] + statuses[503] == 100);
    CHECK(statuses[200] >= 8);
    CHECK(statuses[200] <= 16);
    CHECK(at_once >= 70);
    CHECK(most_at_once(site.said("log")) == 4);
    // Whoever got no answer was not begun.
    CHECK(count(site.said("log"), "begin") == static_cast<std::size_t>(statuses[200]));
    const auto pool = pool_of(server);
    CHECK(pool["refused_full_total"].get<int>() + pool["refused_late_total"].get<int>() == statuses[503]);
    CHECK(pool["tasks_total"] == statuses[200]);
    CHECK(pool["waiting"] == 0);
}

TEST_CASE("tasks of clients that left while they waited never start", "[integration][pool][concurrent]") {
    const Site site("echo $QUERY_STRING >> $out/log\nsleep 1\n" + std::string(answer));
    const Server server(site.folder, site.setup("size = 1\n"));
    Asked first{server.connect()};
    first.client.send(get("/?first"));
    eventually("the first is at work", [&] { return site.lines("log") == 1; });
    std::deque<Client> others;
    for (int i = 0; i < 5; ++i) others.push_back(server.connect());
    for (auto& other : others) other.send(get("/?left"));
    eventually("all others wait", [&] { return pool_of(server)["waiting"] == 5; });
    others.clear();
    eventually("nobody waits", [&] { return pool_of(server)["waiting"] == 0; });
    first.await();
    CHECK(first.response.status == 200);
    CHECK(server.get("/?last").status == 200);
    CHECK(site.said("log") == "first\nlast\n");
    CHECK(pool_of(server)["left_total"] == 5);
}

TEST_CASE("when a process is killed only its task fails, and those that wait go on",
          "[integration][pool][concurrent]") {
    const Site site("echo begin >> $out/log\nsleep $QUERY_STRING\n" + std::string(answer));
    const Server server(site.folder, site.setup("size = 1\nqueue_timeout = 1m\n"));
    Asked first{server.connect()}, second{server.connect()}, third{server.connect()};
    first.client.send(get("/?1000"));
    eventually("it is at work", [&] { return site.lines("log") == 1; });
    second.client.send(get("/?0.1"));
    third.client.send(get("/?0.1"));
    eventually("two wait", [&] { return pool_of(server)["waiting"] == 2; });
    const auto members = busy(server);
    REQUIRE(members.size() == 1);
    ::kill(members[0], SIGKILL);
    first.await();
    CHECK(first.response.status == 502);
    second.await();
    third.await();
    CHECK(second.response.status == 200);
    CHECK(third.response.status == 200);
    CHECK(contains(server.log(), "pool member died"));
    const auto pool = pool_of(server);
    CHECK(pool["crashes_total"] == 1);
    CHECK(pool["died_total"] == 1);
}

TEST_CASE("a task that takes too long is answered on time, and ended even if TERM means nothing to it",
          "[integration][pool]") {
    const Site site(
        "test \"$QUERY_STRING\" = quick && { " +
        std::string("printf 'Content-Type: text/plain\\nContent-Length: 4\\n\\ndone'; exit; }\n") +
        "trap '' TERM\necho $$ > $out/pid\nwhile :; do sleep 1; done\n");
    const Server server(site.folder, site.setup("size = 1\ntimeout = 700ms\nkill_grace = 300ms\n"));
    Asked stuck{server.connect()}, next{server.connect()};
    stuck.client.send(get("/?slow"));
    eventually("it is at work", [&] { return site.lines("pid") == 1; });
    next.client.send(get("/?quick"));
    stuck.await();
    CHECK(stuck.response.status == 504);
    CHECK(stuck.took >= 650ms);
    CHECK(stuck.took < 1300ms);
    next.await();
    CHECK(next.response.status == 200);
    const pid_t program = std::atoi(site.said("pid").c_str());
    eventually("the program is gone", [&] { return !lives(program); });
    CHECK(pool_of(server)["timeouts_total"] == 1);
    CHECK(contains(server.log(), "pool task takes too long"));
}

TEST_CASE("a reload loses no task, neither one that runs nor one that waits", "[integration][pool]") {
    const Site site("sleep 0.5\n" + std::string(answer));
    const Server server(site.folder, site.setup("size = 1\n"));
    std::deque<Asked> all;
    for (int i = 0; i < 4; ++i) all.push_back({server.connect()});
    for (auto& asked : all) asked.client.send(get("/"));
    eventually("one runs, three wait", [&] {
        return !busy(server).empty() && (!serves_several() || pool_of(server)["waiting"] == 3);
    });
    const auto before = pool_of(server)["members"][0]["pid"].get<pid_t>();
    CHECK(server.command({"-s", "reload"}).status == 0);
    CHECK(server.get("/").status == 200);  // by the new ones, while the old still work
    CHECK(lives(before));
    for (auto& asked : all) {
        asked.await();
        CHECK(asked.response.status == 200);
    }
    eventually("the old pool is gone", [&] { return !lives(before); });
}

TEST_CASE("an upgrade brings pools of its own, and loses no task", "[integration][pool][upgrade]") {
    const Site site("sleep 0.5\n" + std::string(answer));
    const Server server(site.folder, site.setup("size = 1\n"));
    std::deque<Asked> all;
    for (int i = 0; i < 3; ++i) all.push_back({server.connect()});
    for (auto& asked : all) asked.client.send(get("/"));
    eventually("one runs, two wait", [&] {
        return !busy(server).empty() && (!serves_several() || pool_of(server)["waiting"] == 2);
    });
    const auto before = pool_of(server)["members"][0]["pid"].get<pid_t>();
    CHECK(server.command({"-s", "upgrade"}).status == 0);
    CHECK(server.get("/").status == 200);
    for (auto& asked : all) {
        asked.await();
        CHECK(asked.response.status == 200);
    }
    eventually("the old pool is gone", [&] { return !lives(before); });
}

TEST_CASE("bodies reach a program, whatever their size, and how it is told", "[integration][pool]") {
    const Site site("printf 'Content-Type: text/plain\nContent-Length: %d\n\n' $CONTENT_LENGTH\ncat\n");
    const Server server(site.folder, site.setup("size = 1\n"));
    std::string body;
    while (body.size() < 700'000) body += std::to_string(body.size()) + " ";
    CHECK(server.ask(post("/", body)).body == body);
    CHECK(server.ask(post("/", "small")).body == "small");
    CHECK(server
              .ask("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
              .body == "abcdefg");
}

TEST_CASE("slow clients hold no process", "[integration][pool][concurrent]") {
    const Site site(
        "case $QUERY_STRING in\n"
        "down) printf 'Content-Length: 8000000\\n\\n'; head -c 8000000 /dev/zero | tr '\\0' x ;;\n"
        "*) n=$(wc -c); printf 'Content-Length: %d\\n\\n%d' ${#n} $n ;;\nesac\n");
    const Server server(site.folder, site.setup("size = 1\n"));
    SECTION("that send slowly") {
        const std::string request = post("/", std::string(900'000, 'b'));
        Client slow = server.connect();
        slow.send(request.substr(0, 500'000));
        CHECK(server.get("/").body == "0");
        CHECK(pool_of(server)["tasks_total"] == 1);
        slow.send(request.substr(500'000));
        CHECK(slow.response().body == "900000");
    }
    SECTION("that read slowly") {
        Client slow = server.connect_slow();
        slow.send(get("/?down"));
        CHECK(slow.head().status == 200);
        CHECK(server.get("/").status == 200);
        CHECK(slow.take(8'000'000) == std::string(8'000'000, 'x'));
    }
}

TEST_CASE("a worker that is killed with tasks in flight leaves its members to others",
          "[integration][pool][concurrent]") {
    const Site site("echo $$ >> $out/log\ntest \"$QUERY_STRING\" = quick || sleep 1000\n" +
                    std::string(answer));
    const Server server(site.folder, site.setup("size = 2\n"));
    Client one = server.connect(), other = server.connect();
    one.send(get("/"));
    other.send(get("/"));
    eventually("both are at work", [&] { return site.lines("log") == 2; });
    for (const auto& worker : server.status().workers) ::kill(worker.pid, SIGKILL);
    CHECK(one.ends());
    CHECK(other.ends());
    eventually("both are idle again", [&] {
        const auto pool = pool_of(server);
        return std::all_of(pool["members"].begin(), pool["members"].end(),
                           [](const json& member) { return member["state"] == "idle"; });
    });
    std::istringstream programs(site.said("log"));
    for (pid_t program = 0; programs >> program;) CHECK_FALSE(lives(program));
    CHECK(server.get("/?quick").status == 200);
    CHECK(pool_of(server)["crashes_total"] == 0);
}

TEST_CASE("members and what they run let loops finish their turn, unless the operator has said how to run",
          "[integration][pool]") {
    const Site site("echo $$ >> $out/pid\nsleep 1000\n");
    const Server server(site.folder, site.setup("size = 1\n"));
    Client client = server.connect();
    client.send(get("/"));
    eventually("it is at work", [&] { return site.lines("pid") == 1; });
    const int ours = ::sched_getscheduler(0);
    const int theirs = ours == SCHED_OTHER ? SCHED_BATCH : ours;
    CHECK(::sched_getscheduler(pool_of(server)["members"][0]["pid"].get<pid_t>()) == theirs);
    CHECK(::sched_getscheduler(std::atoi(site.said("pid").c_str())) == theirs);
    for (const auto& worker : server.status().workers) CHECK(::sched_getscheduler(worker.pid) == ours);
}

TEST_CASE("a client that leaves ends its program", "[integration][pool]") {
    const Site site("echo $$ >> $out/pid\nsleep 1000\n");
    const Server server(site.folder, site.setup("size = 1\n"));
    Client client = server.connect();
    client.send(get("/"));
    eventually("it is at work", [&] { return site.lines("pid") == 1; });
    client.close();
    const pid_t program = std::atoi(site.said("pid").c_str());
    eventually("the program is gone", [&] { return !lives(program); });
    eventually("its member is idle", [&] { return pool_of(server)["members"][0]["state"] == "idle"; });
    CHECK(pool_of(server)["aborted_total"] == 1);
}

TEST_CASE("a program that takes FastCGI on descriptor 0 serves one connection after the other",
          "[integration][pool]") {
    const Site site("");
    // As small as it can be: skips what it is asked, and answers with its pid.
    const auto program = site.folder.write("app.pl", R"(
use strict;
my $first = 1;
while (accept(my $c, STDIN)) {
    binmode $c;
    my $in = '';
    READ: while (1) {
        read($c, my $head, 8) == 8 or last READ;
        my ($version, $type, $id, $size, $padding) = unpack('CCnnC', $head);
        read($c, my $content, $size + $padding) if $size + $padding > 0;
        if ($type == 5 && $size == 0) {
            my $out = "Content-Type: text/plain\r\nContent-Length: " . length($$) . "\r\n\r\n$$";
            syswrite($c, pack('CCnnCC', 1, 7, $id, 8, 0, 0) . "a word\n\n");
            syswrite($c, pack('CCnnCC', 1, 6, $id, length($out), 0, 0) . $out . pack('CCnnCC', 1, 6, $id, 0, 0, 0));
            syswrite($c, pack('CCnnCC', 1, 3, $id, 8, 0, 0) . pack('NCCCC', 0, 0, 0, 0, 0));
            print STDERR "straight to the pipe\n" if $first;
            $first = 0;
            last READ;
        }
    }
    close($c);
}
)");
    const Server server(site.folder, site.setup("size = 1\n", "fastcgi perl " + program));
    const auto first = server.get("/");
    CHECK(first.status == 200);
    const auto second = server.get("/");
    INFO(server.log());
    CHECK(second.body == first.body);
    eventually("it is idle again", [&] { return contains(server.command({"status"}).output, "1 idle"); });
    CHECK(contains(server.log(), "a word"));
    eventually("what it says is in the log",
               [&] { return contains(server.log(), "text=\"straight to the pipe\""); });
    const auto status = server.get("/status", "Accept: application/json\r\n").body;
    CHECK(json::parse(status)["pools"][0]["tasks"] == 2);
    const auto metrics = server.get("/metrics").body;
    CHECK(contains(metrics, "reeve_pool_tasks_total{pool=\"work\"} 2\n"));
    CHECK(contains(metrics, "reeve_pool_members{pool=\"work\",state=\"idle\"} 1\n"));
}

TEST_CASE("a client that leaves with its whole answer leaves the program alone", "[integration][pool]") {
    const Site site("");
    // Says that it is done only when it may.
    const auto program = site.folder.write("late.pl", R"(
use strict;
my $may = shift;
$SIG{PIPE} = 'DEFAULT';
while (accept(my $c, STDIN)) {
    binmode $c;
    READ: while (1) {
        read($c, my $head, 8) == 8 or last READ;
        my ($version, $type, $id, $size, $padding) = unpack('CCnnC', $head);
        read($c, my $content, $size + $padding) if $size + $padding > 0;
        if ($type == 5 && $size == 0) {
            my $out = "Content-Type: text/plain\r\nContent-Length: " . length($$) . "\r\n\r\n$$";
            syswrite($c, pack('CCnnCC', 1, 6, $id, length($out), 0, 0) . $out);
            select(undef, undef, undef, 0.002) until -e $may;
            syswrite($c, pack('CCnnCC', 1, 6, $id, 0, 0, 0));
            syswrite($c, pack('CCnnCC', 1, 3, $id, 8, 0, 0) . pack('NCCCC', 0, 0, 0, 0, 0));
            last READ;
        }
    }
    close($c);
}
)");
    const auto may = site.folder.path("may");
    const Server server(site.folder, site.setup("size = 1\n", "fastcgi perl " + program + " " + may));
    Client client = server.connect();
    client.send(get("/"));
    const auto first = client.response();
    CHECK(first.status == 200);
    client.close();
    eventually("its connection is gone", [&] {
        const auto status = json::parse(server.command({"status", "--json"}).output);
        std::uint64_t open = 0;
        for (const auto& worker : status["workers"]) open += worker["connections"].get<std::uint64_t>();
        return open == 0;
    });
    CHECK(pool_of(server)["members"][0]["state"] == "busy");
    site.folder.write("may", "");
    CHECK(server.get("/").body == first.body);
    eventually("it is idle again", [&] { return pool_of(server)["members"][0]["state"] == "idle"; });
    CHECK(pool_of(server)["aborted_total"] == 0);
    CHECK(pool_of(server)["died_total"] == 0);
    CHECK(pool_of(server)["tasks_total"] == 2);
}

TEST_CASE("a program that ends behind each answer costs no other process its tasks", "[integration][pool]") {
    const Site site("");
    const auto program = site.folder.write("once.pl", R"(
use strict;
while (accept(my $c, STDIN)) {
    binmode $c;
    while (read($c, my $head, 8) == 8) {
        my ($version, $type, $id, $size, $padding) = unpack('CCnnC', $head);
        read($c, my $content, $size + $padding) if $size + $padding > 0;
        next unless $type == 5 && $size == 0;
        my $out = "Content-Length: 4\r\n\r\ndone";
        my $end = pack('CCnnCC', 1, 3, $id, 8, 0, 0) . pack('NCCCC', 0, 0, 0, 0, 0);
        syswrite($c, pack('CCnnCC', 1, 6, $id, length($out), 0, 0) . $out . $end);
        exit 0;
    }
}
)");
    const Server server(site.folder,
                        site.setup("size = 2\nqueue_timeout = 10s\n", "fastcgi perl " + program));
    for (int i = 0; i < 4; ++i) CHECK(server.get("/").body == "done");
    const auto members = pool_of(server)["members"];
    for (const auto& member : members)
        if (member["pid"] == 0) CHECK(member["state"] != "idle");
}

TEST_CASE("what a program says is told with the name of its member", "[integration][pool]") {
    const Site site("echo trouble >&2\n" + std::string(answer));
    const Server server(site.folder, site.setup("size = 1\n"));
    CHECK(server.get("/").body == "done");
    eventually("the log has it", [&] { return contains(server.log(), "text=\"trouble\""); });
    CHECK(contains(server.log(), "peer=work/0 "));
}

TEST_CASE("a pool whose program dies at once fails the start and a reload, with the reason",
          "[integration][pool]") {
    const Site site("echo there is no license >&2\nexit 9\n");
    const auto setup = site.setup("size = 1\n", "fastcgi @folder@/task.sh");
    const auto config = write_config(site.folder, setup, free_port());
    const auto failed = run({reeve(), "-c", config});
    CHECK(failed.status == 1);
    CHECK(contains(
        failed.errors + failed.output,
        "pool work: its process ended before it took a connection: exit status 9: there is no license"));

    const Site good("sleep 0.1\n" + std::string(answer));
    const Server server(good.folder, good.setup("size = 1\n"));
    const auto pid = pool_of(server)["members"][0]["pid"];
    (void)write_config(good.folder, good.setup("size = 1\n", "fastcgi " + site.folder.path("task.sh")),
                       server.port());
    const auto refused = server.command({"-s", "reload"});
    CHECK(refused.status == 1);
    CHECK(contains(refused.errors + refused.output, "there is no license"));
    CHECK(server.get("/").status == 200);
    CHECK(pool_of(server)["members"][0]["pid"] == pid);
}

TEST_CASE("nothing of a pool is left when its server is killed", "[integration][pool]") {
    const Site site("sleep 1000 &\necho $$ $! >> $out/pid\nwait\n");
    const Server server(site.folder, site.setup("size = 2\n"));
    Client client = server.connect();
    client.send(get("/"));
    eventually("it is at work", [&] { return site.lines("pid") == 1; });
    std::vector<pid_t> all;
    std::istringstream programs(site.said("pid"));
    for (pid_t program = 0; programs >> program;) all.push_back(program);
    const auto pool = pool_of(server);
    for (const auto& member : pool["members"]) all.push_back(member["pid"].get<pid_t>());
    ::kill(server.pid(), SIGKILL);
    eventually("they are gone",
               [&] { return std::none_of(all.begin(), all.end(), [](pid_t pid) { return lives(pid); }); });
}
