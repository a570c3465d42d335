// The limit of concurrency on the real program: an upstream that is overloaded gets as many requests as it
// can work on, over all workers, and the others are told to come again at once.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/proxied.h"

using namespace integration;

namespace {

using std::chrono_literals::operator""ms;

/// Works on `places` requests at once, each for so long; the others wait in line.
class Workshop {
 public:
    Workshop(int places, std::chrono::milliseconds each) : open_(places), each_(each) {}

    Origin::Script script() {
        return [this](const Asked&, Origin::Talk& talk) {
            {
                std::unique_lock lock(mutex_);
                const int number = came_++;
                changed_.wait(lock, [&] { return number < open_; });
            }
            std::this_thread::sleep_for(each_);
            {
                const std::lock_guard lock(mutex_);
                ++open_;
            }
            changed_.notify_all();
            talk.send(answer("done"));
        };
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int came_ = 0, open_;  ///< numbers given, and from which on they wait
    std::chrono::milliseconds each_;
};

/// Clients that ask again as soon as they are answered, or a little after they were refused. They have half a
/// second.
class Crowd {
 public:
    Crowd(const Server& server, int size) {
        for (int i = 0; i < size; ++i) threads_.emplace_back([this, &server] { run(server); });
    }
    ~Crowd() { leave(); }
    void leave() {
        done_ = true;
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    std::atomic<std::uint64_t> in_time{0}, late{0}, refused{0}, told{0}, other{0};

 private:
    void run(const Server& server) {
        while (!done_) {
            const auto begun = Clock::now();
            const Response response = server.get("/");
            if (response.status == 200) {
                ++(Clock::now() - begun < 500ms ? in_time : late);
            } else if (response.status == 503) {
                ++refused;
                if (response.field("Retry-After") == "1") ++told;
                std::this_thread::sleep_for(100ms);
            } else {
                ++other;
            }
        }
    }

    std::atomic<bool> done_{false};
    std::vector<std::thread> threads_;
};

Setup limited(const Origin& origin, const std::string& lines = "", int workers = 2) {
    return {.execution = "workers = " + std::to_string(workers) + "\n",
            .routes = "[upstream u]\npeer = " + origin.address() +
                      "\nbreaker_failures = 3\nconcurrency = adaptive\nconcurrency_min = 2\n" + lines +
                      "[route all]\npath = /\nproxy = u\n"
                      "[route hello]\npath = = /hello\nrespond = 200 \"hello\"\n"
                      "[route live]\npath = = /live\nhealth = live\n"
                      "[route status]\npath = = /status\nstatus = on\n"
                      "[route metrics]\npath = = /metrics\nmetrics = on\n"};
}

/// The value of a sample of the upstream; -1: there is none.
double sample(const Server& server, const std::string& name) {
    const std::string text = server.get("/metrics").body;
    const std::string wanted = "\nreeve_upstream_concurrency_" + name + "{upstream=\"u\"} ";
    const auto at = text.find(wanted);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + wanted.size()));
}

}  // namespace

TEST_CASE("an overloaded upstream gets what it can work on, and the rest is refused at once",
          "[integration][concurrency][concurrent]") {
    const TemporaryFolder folder;
    Workshop workshop(4, 100ms);
    Origin origin(workshop.script());
    const Server server(folder, limited(origin));
    for (int i = 0; i < 20; ++i) CHECK(server.get("/").status == 200);  // a quiet time
    Crowd crowd(server, 32);  // all at once they would wait for 800 ms
    eventually("the limit is near what it works on at once", [&] {
        const double limit = sample(server, "limit");
        return crowd.refused > 50 && limit >= 2 && limit <= 9;
    });
    const std::uint64_t in_time = crowd.in_time, late = crowd.late;
    const auto begun = Clock::now();
    eventually("many more are answered in time", [&] { return crowd.in_time >= in_time + 100; });
    const std::chrono::duration<double> took = Clock::now() - begun;
    CHECK(100 / took.count() > 20);  // of the 40 a second that it can do
    CHECK(crowd.late - late < 50);   // as when it looks how far it may go
    CHECK(sample(server, "limit") <= 20);
    CHECK(sample(server, "waiting") <= 21);
    CHECK(sample(server, "baseline_seconds") >= 0.09);
    CHECK(sample(server, "baseline_seconds") <= 0.3);
    CHECK(crowd.other == 0);
    CHECK(crowd.told == crowd.refused);

    CHECK(server.get("/hello").body == "hello");
    CHECK(server.get("/live").status == 200);
    CHECK(contains(server.get("/status", "Accept: application/json\r\n").body, "\"limit\": "));
    const std::string text = server.command({"status"}).output;
    CHECK(contains(text, "baseline ms"));
    crowd.leave();
    CHECK(sample(server, "refused_total") == static_cast<double>(crowd.refused));
    CHECK(sample(server, "waiting") == 0);
    CHECK(contains(server.get("/metrics").body, "reeve_breaker_refused_total{upstream=\"u\"} 0\n"));
    CHECK(contains(server.log(), "upstream is busy upstream=u limit="));
    CHECK_FALSE(contains(server.log(), "breaker changed"));
    CHECK(contains(server.command({"status", "--json"}).output, "\"baseline_seconds\": 0."));
}

TEST_CASE("without a limit everybody waits, and nobody is answered in time",
          "[integration][concurrency][concurrent]") {
    const TemporaryFolder folder;
    Workshop workshop(4, 100ms);
    Origin origin(workshop.script());
    Setup setup = limited(origin);
    setup.routes.replace(setup.routes.find("concurrency = adaptive\n"), 23, "");
    const Server server(folder, setup);
    Crowd crowd(server, 32);
    eventually("all are there", [&] { return crowd.late >= 50; });
    const std::uint64_t in_time = crowd.in_time;
    eventually("many more are answered", [&] { return crowd.late >= 150; });
    CHECK(crowd.in_time - in_time <= 20);
    CHECK(crowd.refused == 0);
}

TEST_CASE("the limit is one for all workers, and calls of the dead do not count",
          "[integration][concurrency][concurrent]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked& asked, Origin::Talk& talk) {
        if (asked.target() == "/stuck") return talk.await_end();
        talk.send(answer("x"));
    });
    const Server server(folder, limited(origin, "concurrency_max = 6\n", 3));
    std::vector<Client> stuck;
    for (std::size_t i = 1; i <= 6; ++i) {
        stuck.push_back(server.connect());
        stuck.back().send(get("/stuck"));
        (void)origin.await(i);
    }
    for (int i = 0; i < 9; ++i) {  // each over a connection of its own
        const Response refused = server.get("/");
        CHECK(refused.status == 503);
        CHECK(refused.field("Retry-After") == "1");
    }
    CHECK(origin.asked().size() == 6);
    CHECK(sample(server, "waiting") == 6);
    SECTION("a client that leaves makes room") {
        stuck.front().close();
        eventually("one more is answered", [&] { return server.get("/").status == 200; });
        CHECK(sample(server, "waiting") == 5);
    }
    SECTION("so do workers that are killed") {
        for (const WorkerStatus& worker : server.status().workers) ::kill(worker.pid, SIGKILL);
        eventually("what they had under way is forgotten", [&] { return server.get("/").status == 200; });
        CHECK(sample(server, "waiting") == 0);
    }
    SECTION("a reload keeps the count, and knows other bounds") {
        const std::string config = contents(server.config());
        const auto reload = [&](const std::string& with) {
            std::string text = config;
            const std::string line = "concurrency_min = 2\nconcurrency_max = 6\n";
            text.replace(text.find(line), line.size(), with);
            folder.write("reeve.ini", text);
            REQUIRE(server.command({"-s", "reload"}).status == 0);
        };
        reload("concurrency_max = 6\n");
        CHECK(server.get("/").status == 503);
        reload("concurrency_min = 7\n");
        // A worker that leaves may still take what waited for it.
        eventually("one more is let in", [&] { return server.get("/").status == 200; });
    }
}

TEST_CASE("a reload takes the limit away", "[integration][concurrency]") {
    const TemporaryFolder folder;
    Origin origin(always(answer("x")));
    const Server server(folder, limited(origin));
    CHECK(sample(server, "limit") == 20);
    std::string text = contents(server.config());
    const std::string line = "concurrency = adaptive\n";
    text.replace(text.find(line), line.size(), "");
    folder.write("reeve.ini", text);
    REQUIRE(server.command({"-s", "reload"}).status == 0);
    CHECK(sample(server, "limit") == -1);
    CHECK(server.get("/").status == 200);
    CHECK_FALSE(contains(server.command({"status"}).output, "baseline ms"));
    CHECK(contains(server.command({"status", "--json"}).output, "\"concurrency\": null"));
}

TEST_CASE("a part whose upstream is busy is refused, and a fallback stands in for a route's",
          "[integration][concurrency][concurrent]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) { talk.await_end(); });
    Origin other(always(answer("other")));
    Setup setup = limited(origin, "concurrency_min = 1\nconcurrency_max = 1\n");
    setup.routes += "[upstream v]\npeer = " + other.address() +
                    "\n[route parts]\npath = = /parts\nfanout = u v\nmerge = concat\n"
                    "[route instead]\npath = = /instead\nproxy = u\nfallback = /hello\n";
    setup.routes.replace(setup.routes.find("concurrency_min = 2\n"), 20, "");
    const Server server(folder, setup);
    Client client = server.connect();
    client.send(get("/"));
    (void)origin.await();
    const Response parts = server.get("/parts");
    CHECK(parts.body == "other");
    CHECK(parts.field("Reeve-Fanout") == "partial; ok=1/2; missing=u:refused");
    CHECK(server.get("/instead").body == "hello");
    CHECK(sample(server, "refused_total") == 2);
}

TEST_CASE("whoever is refused, and then the page for it too, is told once when to come again",
          "[integration][concurrency][concurrent]") {
    const TemporaryFolder folder;
    Origin origin([](const Asked&, Origin::Talk& talk) { talk.await_end(); });
    Setup setup = limited(origin, "concurrency_max = 1\n");
    setup.routes.replace(setup.routes.find("concurrency_min = 2\n"), 20, "concurrency_min = 1\n");
    setup.server = "error_page = 503 /page\n";
    const Server server(folder, setup);
    Client client = server.connect();
    client.send(get("/"));
    (void)origin.await();
    const Response refused = server.get("/");
    CHECK(refused.status == 503);
    CHECK(count(refused.head, "Retry-After") == 1);
    CHECK(sample(server, "refused_total") == 2);  // the page is asked for there too
}
