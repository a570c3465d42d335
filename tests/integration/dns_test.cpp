// Peers that are names: who is asked when a name has other addresses, and when nobody tells them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <list>
#include <mutex>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/server.h"
#include "tests/name_server.h"

using namespace integration;
using test::NameServer;

namespace {

/// A peer on an address of its own: says it to everybody, and to /slow when `release` has been called.
class Backend {
 public:
    Backend(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {
        socket_ = ipc::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        ::inet_pton(AF_INET, host_.c_str(), &address.sin_addr);
        if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(socket_.get(), 64) != 0)
            fail("no socket for a peer");
        acceptor_ = std::thread([this] { run(); });
    }
    ~Backend() {
        release();
        ::shutdown(socket_.get(), SHUT_RDWR);
        acceptor_.join();
        {
            const std::lock_guard lock(mutex_);
            for (const auto& connection : connections_) ::shutdown(connection.get(), SHUT_RDWR);
        }
        for (auto& thread : threads_) thread.join();
    }
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    [[nodiscard]] int asked() const { return asked_; }
    [[nodiscard]] int open() const { return open_; }
    [[nodiscard]] std::string address() const { return host_ + ":" + std::to_string(port_); }
    [[nodiscard]] test::DnsData record(std::uint32_t ttl = 0) const { return test::a(host_, ttl); }
    void release() {
        const std::lock_guard lock(mutex_);
        released_ = true;
        changed_.notify_all();
    }

 private:
    void run() {
        for (;;) {
            ipc::UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!connection) return;
            const std::lock_guard lock(mutex_);
            const int fd = connections_.emplace_back(std::move(connection)).get();
            ++open_;
            threads_.emplace_back([this, fd] {
                serve(fd);
                ::shutdown(fd, SHUT_RDWR);
                --open_;
            });
        }
    }
    void serve(int connection) {
        std::string head;
        char bytes[4096];
        for (;;) {
            const auto end = head.find("\r\n\r\n");
            if (end == std::string::npos) {
                const auto got = ::recv(connection, bytes, sizeof bytes, 0);
                if (got <= 0) return;
                head.append(bytes, static_cast<std::size_t>(got));
                continue;
            }
            ++asked_;
            if (head.starts_with("GET /slow ")) {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [this] { return released_; });
            }
            const auto answer =
                "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(host_.size()) + "\r\n\r\n" + host_;
            if (::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
            head.erase(0, end + 4);
        }
    }

    std::string host_;
    std::uint16_t port_;
    ipc::UniqueFd socket_;
    std::thread acceptor_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool released_ = false;
    std::list<ipc::UniqueFd> connections_;
    std::list<std::thread> threads_;
    std::atomic<int> asked_{0}, open_{0};
};

std::string routes(const NameServer& names, const std::string& peers, const std::string& further = {}) {
    return "[upstream back]\n" + peers + "resolver = " + names.address() +
           "\nresolver_timeout = 100ms\nresolver_ttl_min = 100ms\n" + further +
           "[route metrics]\npath = = /metrics\nmetrics = on\n[route all]\npath = /\nproxy = back\n";
}

std::string app(const Backend& backend) {
    const auto address = backend.address();
    return "peer = app.example" + address.substr(address.find(':')) + "\n";
}

void await_answer(const Server& server, const std::string& body) {
    eventually("the answer is " + body, [&] {
        const auto answer = server.get("/");
        return answer.status == 200 && answer.body == body;
    });
}

pid_t sentinel_of(const Server& server) {
    for (const pid_t pid : server.processes())
        if (contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: sentinel")) return pid;
    return 0;
}

}  // namespace

TEST_CASE("addresses of a name come and go without a reload", "[integration][dns][concurrent]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port), three("127.0.0.3", port);
    NameServer names;
    names.set("app.example", {two.record()});
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(names, app(two))});
    CHECK(server.get("/").body == "127.0.0.2");  // resolved before it serves
    Client slow = server.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: t\r\n\r\n");
    eventually("it is at its peer", [&] { return two.asked() == 2; });

    names.set("app.example", {three.record(), two.record()});
    eventually("the new one is asked", [&] { return server.get("/").body == "127.0.0.3"; });
    eventually("and the old one still", [&] { return server.get("/").body == "127.0.0.2"; });

    names.set("app.example", {three.record()});
    eventually("idle connections to who left are closed", [&] { return two.open() == 1; });
    const int before = two.asked();
    for (int count = 0; count < 20; ++count) CHECK(server.get("/").body == "127.0.0.3");
    CHECK(two.asked() == before);
    two.release();
    CHECK(contains(slow.response().body, "127.0.0.2"));  // the call under way went on
    eventually("and its connection is not kept", [&] { return two.open() == 0; });
    CHECK(contains(server.log(), "name is resolved upstream=back name=app.example:"));
}

TEST_CASE("a client stays with an address of a name, and has another cookie when it is gone",
          "[integration][dns][sticky]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port), three("127.0.0.3", port), four("127.0.0.4", port);
    NameServer names;
    names.set("app.example", {two.record(), three.record()});
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(names, app(two), "sticky = cookie route\n")});
    const auto cookie_of = [](const Response& response) {
        const auto field = response.field("Set-Cookie");
        return "Cookie: " + field.substr(0, field.find(';')) + "\r\n";
    };
    const auto first = server.get("/");
    const auto cookie = cookie_of(first);
    REQUIRE(contains(cookie, "route="));
    Backend& mine = first.body == "127.0.0.2" ? two : three;
    Backend& other = first.body == "127.0.0.2" ? three : two;

    names.set("app.example", {four.record(), mine.record()});
    eventually("the new one is asked", [&] { return server.get("/").body == "127.0.0.4"; });
    for (int again = 0; again < 8; ++again) {
        const auto next = server.get("/", cookie);
        CHECK(next.body == first.body);
        CHECK_FALSE(next.has("Set-Cookie"));
    }

    const int before = mine.asked();
    Client slow = server.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: t\r\n" + cookie + "\r\n");
    eventually("it is at its peer", [&] { return mine.asked() == before + 1; });
    names.set("app.example", {four.record(), other.record()});
    eventually("its address is gone", [&] { return server.get("/", cookie).body != first.body; });
    mine.release();
    const auto late = slow.response();
    CHECK(contains(late.body, first.body));
    CHECK_FALSE(late.has("Set-Cookie"));  // whoever came in its place has not seen this client
    const auto moved = server.get("/", cookie);
    CHECK(contains(cookie_of(moved), "route="));
    CHECK(cookie_of(moved) != cookie);
    for (int again = 0; again < 8; ++again) CHECK(server.get("/", cookie_of(moved)).body == moved.body);
}

TEST_CASE("a stuck address of a name is overtaken by another one that came later",
          "[integration][dns][hedging]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port), three("127.0.0.3", port);
    NameServer names;
    names.set("app.example", {two.record()});
    const TemporaryFolder folder;
    const Server server(
        folder,
        {.routes = routes(names, app(two), "hedge = on\nhedge_delay_max = 100ms\nhedge_budget = 100\n")});
    names.set("app.example", {two.record(), three.record()});
    eventually("the new one is asked", [&] { return server.get("/").body == "127.0.0.3"; });
    three.release();
    for (int again = 0; again < 4; ++again) CHECK(server.get("/slow").body == "127.0.0.3");
    CHECK(two.asked() > 0);
    CHECK(contains(server.get("/metrics").body, "reeve_upstream_hedges_won_total{upstream=\"back\"} "));
    CHECK_FALSE(
        contains(server.get("/metrics").body, "reeve_upstream_hedges_won_total{upstream=\"back\"} 0\n"));
}

TEST_CASE("name servers that are down keep nobody from starting", "[integration][dns]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port);
    NameServer names;
    names.be(GENERATE(NameServer::Mood::silent, NameServer::Mood::failing));
    names.set("app.example", {two.record()});
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(names, app(two))});
    const int before = names.asked();
    CHECK(server.command({"-t"}).status == 0);
    CHECK(names.asked() - before < 50);  // those are the sentinel's
    CHECK(server.get("/").status == 502);
    CHECK(contains(server.log(), "no address of the upstream is known"));
    eventually("the log says so",
               [&] { return contains(server.log(), "name is not resolved upstream=back"); });
    names.be(NameServer::Mood::well);
    await_answer(server, "127.0.0.2");
}

TEST_CASE("a configuration with names is checked without asking anybody", "[integration][dns]") {
    NameServer names;
    const TemporaryFolder folder;
    const auto config = write_config(
        folder, {.routes = routes(names, "peer = app.example:80\npeer = _x._tcp.app.example\n")}, 1);
    const auto checked = run({std::getenv("REEVE"), "-t", "-c", config});
    INFO(checked.output << checked.errors);
    CHECK(checked.status == 0);
    CHECK(names.asked() == 0);
}

TEST_CASE("the last good answer is kept while name servers fail", "[integration][dns]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port);
    NameServer names;
    names.set("app.example", {two.record()});
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(names, app(two))});
    CHECK(server.get("/").body == "127.0.0.2");
    names.be(GENERATE(NameServer::Mood::silent, NameServer::Mood::failing, NameServer::Mood::garbage,
                      NameServer::Mood::cut, NameServer::Mood::truncated));
    eventually("it has failed", [&] { return contains(server.log(), "addresses_kept=1"); });
    CHECK(server.get("/").body == "127.0.0.2");
    CHECK(server.command({"-s", "reload"}).status == 0);  // and over a reload
    CHECK(server.get("/").body == "127.0.0.2");
    names.set("app.example", {});
    names.be(NameServer::Mood::well);
    eventually("no address is a failure too",
               [&] { return contains(server.log(), "why=\"it has no addresses\""); });
    CHECK(server.get("/").body == "127.0.0.2");
}

TEST_CASE("a service tells ports, and its lesser priority is a backup", "[integration][dns]") {
    const auto port = free_port();
    std::optional<Backend> two(std::in_place, "127.0.0.2", port);
    Backend three("127.0.0.3", free_port());
    const auto port_three = static_cast<std::uint16_t>(std::stoi(three.address().substr(10)));
    NameServer names;
    names.set("_http._tcp.app.example",
              {test::srv(1, 1, port, "two.example", 0), test::srv(2, 1, port_three, "three.example", 0)});
    names.set("two.example", {test::a("127.0.0.2", 0)});
    names.set("three.example", {test::a("127.0.0.3", 0)});
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(names, "peer = _http._tcp.app.example\n")});
    for (int count = 0; count < 10; ++count) CHECK(server.get("/").body == "127.0.0.2");
    two.reset();
    await_answer(server, "127.0.0.3");
}

TEST_CASE("what is known of an address goes with it", "[integration][dns][health]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port), three("127.0.0.3", port);
    const auto address_of_nobody = test::a("127.0.0.9", 0);
    NameServer names;
    names.set("app.example", {address_of_nobody, two.record()});
    const TemporaryFolder folder;
    const Server server(folder,
                        {.routes = routes(names, app(two), "health = tcp every 1s rise=100 fall=1\n")});
    eventually("the dead one is down", [&] {
        return contains(server.log(), "peer is down upstream=back peer=127.0.0.9:" + std::to_string(port));
    });
    eventually("and shown so",
               [&] { return contains(server.command({"status"}).output, "down Connection refused"); });
    names.set("app.example", {three.record(), two.record()});
    eventually("its place is another's, who is up", [&] { return server.get("/").body == "127.0.0.3"; });
    CHECK_FALSE(contains(server.command({"status"}).output, "127.0.0.9"));
    CHECK(count(server.log(), "peer is down") == 1);
}

TEST_CASE("workers keep their addresses while the sentinel is replaced", "[integration][dns]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port), three("127.0.0.3", port);
    NameServer names;
    names.set("app.example", {two.record()});
    const TemporaryFolder folder;
    const Server server(folder, {.execution = just_workers(2), .routes = routes(names, app(two))});
    CHECK(server.get("/").body == "127.0.0.2");
    const pid_t before = sentinel_of(server);
    REQUIRE(before > 0);
    ::kill(before, SIGKILL);
    for (int count = 0; count < 10; ++count) CHECK(server.get("/").body == "127.0.0.2");
    names.set("app.example", {three.record()});
    await_answer(server, "127.0.0.3");
    CHECK(sentinel_of(server) != before);
    ::kill(server.status().workers.at(0).pid, SIGKILL);  // and who is born later finds them
    eventually("both workers are there", [&] {
        const auto status = server.status();
        return status.workers.size() == 2 && status.workers[0].restarts == 1 &&
               status.workers[0].state == "ready";
    });
    for (int count = 0; count < 10; ++count) CHECK(server.get("/").body == "127.0.0.3");
}

TEST_CASE("status and metrics tell of names", "[integration][dns]") {
    const auto port = free_port();
    Backend two("127.0.0.2", port);
    NameServer names;
    names.set("app.example", {two.record(20)});
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(names, app(two))});
    CHECK(server.get("/").status == 200);
    const auto name = "app.example:" + std::to_string(port);
    const auto json = server.command({"status", "--json"}).output;
    CHECK(contains(json, "\"name\": \"" + name + "\""));
    CHECK(contains(json, "\"ttl_seconds\": 20.0"));
    CHECK(contains(server.command({"status"}).output, name + "#0"));
    const auto metrics = server.get("/metrics").body;
    CHECK(contains(metrics, "reeve_upstream_name_addresses{upstream=\"back\",name=\"" + name + "\"} 1\n"));
    CHECK(contains(metrics, "reeve_upstream_address{upstream=\"back\",peer=\"" + name + "#0\",address=\"" +
                                two.address() + "\"} 1\n"));
    folder.write("metrics", metrics);
    const char* promtool = std::getenv("PROMTOOL");
    REQUIRE(promtool != nullptr);
    const auto checked =
        run({"sh", "-c", std::string(promtool) + " check metrics < " + folder.path("metrics")});
    INFO(checked.output << checked.errors);
    CHECK(checked.status == 0);
}
