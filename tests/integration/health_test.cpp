// Peers that are checked by the sentinel: who is asked, and what becomes of the sentinel itself.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "tests/integration/check.h"
#include "tests/integration/server.h"

using namespace integration;

namespace {

constexpr std::chrono::milliseconds every{200};
constexpr std::chrono::seconds slack{10};  ///< for machines that do other things besides

/// A peer: "NAME" to everybody, but to /healthz what the test wants. One connection after another.
class Backend {
 public:
    explicit Backend(std::string name) : name_(std::move(name)) { open(); }
    ~Backend() { close(); }
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    /// Requests that were no checks.
    [[nodiscard]] int asked() const { return asked_; }
    [[nodiscard]] int checked() const { return checked_; }
    void answer_checks(int status, const std::string& body = "fine\n") {
        const std::lock_guard lock(mutex_);
        health_ = {status, body};
    }
    /// Nobody listens any more.
    void close() {
        if (!thread_.joinable()) return;
        closing_ = true;
        ::shutdown(socket_.get(), SHUT_RDWR);
        thread_.join();
        socket_.reset();
    }
    void open() {
        closing_ = false;
        socket_ = ipc::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::listen(socket_.get(), 64) != 0 ||
            ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
            fail("no port for a peer");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { run(); });
    }

 private:
    void run() {
        while (!closing_) {
            const ipc::UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (connection) serve(connection.get());
        }
    }
    void serve(int connection) {
        std::string head;
        char bytes[4096];
        while (!contains(head, "\r\n\r\n")) {
            const auto got = ::recv(connection, bytes, sizeof bytes, 0);
            if (got <= 0) return;
            head.append(bytes, static_cast<std::size_t>(got));
        }
        int status = 200;
        std::string body = name_;
        if (head.starts_with("GET /healthz ")) {
            const std::lock_guard lock(mutex_);
            std::tie(status, body) = health_;
            ++checked_;
        } else {
            ++asked_;
        }
        const auto answer = "HTTP/1.1 " + std::to_string(status) +
                            " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                            "\r\n\r\n" + body;
        (void)!::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
    }

    std::string name_;
    std::uint16_t port_ = 0;
    ipc::UniqueFd socket_;
    std::atomic<bool> closing_{false};
    std::atomic<int> asked_{0}, checked_{0};
    std::mutex mutex_;
    std::pair<int, std::string> health_{200, "fine\n"};
    std::thread thread_;
};

const std::string by_path = "health = GET /healthz every 200ms timeout=200ms\n";

std::string routes(const Backend& a, const Backend& b, const std::string& health) {
    return "[upstream back]\npeer = " + a.address() + "\npeer = " + b.address() + "\n" + health +
           "[route metrics]\npath = = /metrics\nmetrics = on\n[route all]\npath = /\nproxy = back\n";
}

std::string status_text(const TemporaryFolder& folder) {
    Client control(folder.path("control"));
    control.send("status\n");
    return control.rest();
}

/// What stands in the status of that peer behind its numbers.
bool is_state(const TemporaryFolder& folder, const Backend& peer, const std::string& state) {
    const auto text = status_text(folder);
    const auto at = text.find(" " + peer.address() + " ");
    if (at == std::string::npos) return false;  // the one who took our question is leaving
    return text.substr(at, text.find('\n', at) - at).ends_with("  " + state);
}

void await_state(const TemporaryFolder& folder, const Backend& peer, const std::string& state) {
    eventually(peer.address() + " is " + state, [&] { return is_state(folder, peer, state); });
}

double sample(const Server& server, const std::string& name) {
    const auto text = "\n" + server.get("/metrics").body;
    const auto at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + name.size() + 1, nullptr);
}

/// All processes of the server that are sentinels by their title.
std::vector<pid_t> sentinels(const Server& server) {
    std::vector<pid_t> found;
    for (const pid_t pid : server.processes())
        if (contents("/proc/" + std::to_string(pid) + "/cmdline").starts_with("reeve: sentinel"))
            found.push_back(pid);
    return found;
}

pid_t await_sentinel(const Server& server, pid_t but = 0) {
    pid_t found = 0;
    eventually("there is one sentinel", [&] {
        const auto all = sentinels(server);
        found = all.size() == 1 ? all[0] : 0;
        return found != 0 && found != but;
    });
    return found;
}

void await_asked(const Server& server, const Backend& peer) {
    const int before = peer.asked();
    eventually(peer.address() + " is asked", [&] {
        CHECK(server.get("/").status == 200);
        return peer.asked() > before;
    });
}

/// Many requests, each answered, none of them by that peer.
void check_not_asked(const Server& server, const Backend& peer) {
    const int before = peer.asked();
    for (int count = 0; count < 40; ++count) CHECK(server.get("/").status == 200);
    CHECK(peer.asked() == before);
}

}  // namespace

TEST_CASE("a peer that fails its checks is not asked until it passes them again", "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_asked(server, a);
    await_asked(server, b);
    eventually("both are checked", [&] { return a.checked() > 0 && b.checked() > 0; });
    b.answer_checks(503);
    const auto start = Clock::now();
    await_state(folder, b, "down status 503");
    CHECK(Clock::now() - start < 3 * every + slack);
    check_not_asked(server, b);
    CHECK(is_state(folder, a, "up"));
    const auto label = "{upstream=\"back\",peer=\"" + b.address() + "\"";
    CHECK(sample(server, "reeve_upstream_health" + label + "}") == 0);
    CHECK(sample(server, "reeve_upstream_checks_total" + label + ",result=\"failed\"}") >= 3);

    b.answer_checks(200);
    await_state(folder, b, "up");
    await_asked(server, b);
    CHECK(sample(server, "reeve_upstream_health" + label + "}") == 1);
    CHECK(sample(server, "reeve_upstream_check_seconds" + label + "}") > 0);
    const auto log = server.log();
    CHECK(count(log,
                "peer is down upstream=back peer=" + b.address() + " failures=3 reason=\"status 503\"") == 1);
    CHECK(count(log, "peer is up upstream=back peer=" + b.address() + " before=down") == 1);
    CHECK(count(log, "peer is down") == 1);
    CHECK(contains(log, " sentinel["));
    const auto json = server.command({"status", "--json"}).output;
    CHECK(contains(json, "\"health\": \"up\""));
    CHECK(contains(json, "\"last_check_seconds\": 0."));
}

TEST_CASE("a body without the text that it should hold is a failed check", "[integration][health]") {
    Backend a("a"), b("b");
    b.answer_checks(200, "starting\n");
    const TemporaryFolder folder;
    a.answer_checks(200, "it is well with us\n");
    const Server server(folder, {.routes = routes(a, b,
                                                  "health = GET /healthz every 200ms timeout=200ms fall=2 "
                                                  "\"body=is well\"\n")});
    await_state(folder, b, "down the body lacks what it should hold");
    check_not_asked(server, b);
    b.answer_checks(200, "all is well\n");
    await_asked(server, b);
}

TEST_CASE("a peer that takes no connections is down for tcp", "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    const Server server(
        folder, {.routes = routes(a, b, "health = tcp every 200ms timeout=200ms\neject_failures = 0\n")});
    await_asked(server, b);
    b.close();
    await_state(folder, b, "down Connection refused");
    check_not_asked(server, b);
    b.open();
    await_asked(server, b);
    CHECK(b.checked() == 0);
}

TEST_CASE("when all peers are down they are asked all the same", "[integration][health]") {
    Backend a("a"), b("b");
    a.answer_checks(500);
    b.answer_checks(500);
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_state(folder, a, "down status 500");
    await_state(folder, b, "down status 500");
    await_asked(server, a);
    await_asked(server, b);
}

TEST_CASE("a sentinel that is killed is replaced, and checks go on", "[integration][health]") {
    Backend a("a"), b("b");
    b.answer_checks(503);
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_state(folder, b, "down status 503");
    const pid_t before = await_sentinel(server);
    const auto workers = server.status().workers;
    ::kill(before, SIGKILL);
    await_sentinel(server, before);
    CHECK(is_state(folder, b, "down status 503"));
    check_not_asked(server, b);
    b.answer_checks(200);
    await_asked(server, b);
    a.answer_checks(503);
    await_state(folder, a, "down status 503");
    for (std::size_t slot = 0; slot < workers.size(); ++slot)
        CHECK(server.status().workers[slot].pid == workers[slot].pid);
    CHECK(count(server.log(), "sentinel died") == 1);
    CHECK(count(server.log(), "peer is down upstream=back peer=" + b.address()) == 1);
}

TEST_CASE("a reload keeps what is known of peers, and there is one sentinel", "[integration][health]") {
    Backend a("a"), b("b");
    b.answer_checks(503);
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_state(folder, b, "down status 503");
    const pid_t before = await_sentinel(server);
    for (int round = 0; round < 3; ++round) {
        CHECK(server.command({"-s", "reload"}).status == 0);
        CHECK(is_state(folder, b, "down status 503"));
        check_not_asked(server, b);
    }
    await_sentinel(server, before);
    const int checks = b.checked();
    eventually("checks go on", [&] { return b.checked() > checks + 3; });
    CHECK(count(server.log(), "peer is down") == 1);
    b.answer_checks(200);
    await_asked(server, b);
    CHECK(sentinels(server).size() == 1);
}

TEST_CASE("without checks nobody is down any more, and there is no sentinel", "[integration][health]") {
    Backend a("a"), b("b");
    b.answer_checks(503);
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_state(folder, b, "down status 503");
    write_config(folder, {.routes = routes(a, b, "")}, server.port());
    CHECK(server.command({"-s", "reload"}).status == 0);
    await_asked(server, b);
    eventually("there is no sentinel", [&] { return sentinels(server).empty(); });
    CHECK(is_state(folder, b, "up"));
    write_config(folder, {.routes = routes(a, b, by_path)}, server.port());
    CHECK(server.command({"-s", "reload"}).status == 0);
    await_state(folder, b, "down status 503");
    CHECK(count(server.log(), "peer is down upstream=back peer=" + b.address()) == 2);
}

TEST_CASE("an upgrade keeps what is known of peers, and there is one sentinel", "[integration][health]") {
    Backend a("a"), b("b");
    b.answer_checks(503);
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_state(folder, b, "down status 503");
    const pid_t before = await_sentinel(server);
    CHECK(server.command({"-s", "upgrade"}).status == 0);
    await_sentinel(server, before);
    CHECK(is_state(folder, b, "down status 503"));
    check_not_asked(server, b);
    b.answer_checks(200);
    await_asked(server, b);
    CHECK(count(server.log(), "peer is down") == 1);
}

TEST_CASE("of two masters that serve the sentinel of one checks, and the other's goes on when that is gone",
          "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    const Server server(folder, {.reeve = "upgrade = manual\n", .routes = routes(a, b, by_path)});
    await_state(folder, b, "up");
    CHECK(server.command({"-s", "upgrade"}).status == 0);
    eventually("each has one", [&] { return sentinels(server).size() == 2; });
    b.answer_checks(503);
    await_state(folder, b, "down status 503");
    const int checks = b.checked();
    eventually("checks go on", [&] { return b.checked() >= checks + 5; });
    CHECK(count(server.log(), "peer is down") == 1);
    ::kill(server.serving(), SIGTERM);
    eventually("one is left", [&] { return sentinels(server).size() == 1; });
    b.answer_checks(200);
    await_state(folder, b, "up");
    await_asked(server, b);
}

TEST_CASE("a sentinel that stands still leaves the workers as they are", "[integration][health]") {
    Backend a("a"), b("b");
    b.answer_checks(503);
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_state(folder, b, "down status 503");
    const pid_t pid = await_sentinel(server);
    freeze(pid);
    const int checks = b.checked();
    b.answer_checks(200);
    check_not_asked(server, b);
    CHECK(server.get("/").body == "a");
    CHECK(b.checked() <= checks + 1);
    ::kill(pid, SIGCONT);
    await_asked(server, b);
    const pid_t now = await_sentinel(server);  // another one, where it stood still for longer than `watchdog`
    freeze(now);
    CHECK(server.command({"-s", "reload"}).status == 0);
    await_sentinel(server, now);
    CHECK(server.get("/").status == 200);
}

TEST_CASE("no sentinel is left when the master is killed", "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    Server server(folder, {.reeve = "shutdown_timeout = 1s\n", .routes = routes(a, b, by_path)});
    await_sentinel(server);
    server.signal(SIGKILL);
    CHECK(server.wait() == 128 + SIGKILL);
    eventually("nobody is left", [&] { return server.processes().empty(); });
}

TEST_CASE("no sentinel is left when the server is told to leave", "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    Server server(folder, {.routes = routes(a, b, by_path)});
    const pid_t pid = await_sentinel(server);
    const int signal = GENERATE(SIGTERM, SIGQUIT);
    if (GENERATE(false, true)) freeze(pid);
    server.signal(signal);
    CHECK(server.wait() == 0);
    CHECK(server.processes().empty());
}

TEST_CASE("a sentinel has given up root, and is in the sandbox", "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    eventually("it checks", [&] { return a.checked() > 0; });
    const auto status = contents("/proc/" + std::to_string(await_sentinel(server)) + "/status");
    CHECK(contains(status, "Name:\treeve: sentinel\n"));
    CHECK(contains(status, "NoNewPrivs:\t1\n"));
    CHECK(contains(status, "CapPrm:\t0000000000000000\n"));
    CHECK(contains(status, "Seccomp:\t2\n"));
    if (::geteuid() == 0) CHECK_FALSE(contains(status, "Uid:\t0\t"));
}

TEST_CASE("promtool finds nothing to complain about in the metrics of checks", "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    const Server server(folder, {.routes = routes(a, b, by_path)});
    await_asked(server, a);
    eventually("it is checked", [&] {
        return sample(server, "reeve_upstream_health{upstream=\"back\",peer=\"" + b.address() + "\"}") == 1;
    });
    folder.write("metrics", server.get("/metrics").body);
    const char* promtool = std::getenv("PROMTOOL");
    REQUIRE(promtool != nullptr);
    const auto checked =
        run({"sh", "-c", std::string(promtool) + " check metrics < " + folder.path("metrics")});
    INFO(checked.output << checked.errors);
    CHECK(checked.status == 0);
}

TEST_CASE("the sentinel writes to the new log file after a rotation", "[integration][health]") {
    Backend a("a"), b("b");
    const TemporaryFolder folder;
    // A daemon: whoever is told of its start need not find that in a log.
    const Server server(
        folder, {.reeve = "daemon = on\nerror_log = @folder@/error.log\n", .routes = routes(a, b, by_path)});
    await_state(folder, b, "up");
    std::filesystem::rename(folder.path("error.log"), folder.path("error.log.1"));
    CHECK(server.command({"-s", "reopen"}).status == 0);
    b.answer_checks(503);
    await_state(folder, b, "down status 503");
    CHECK(contains(contents(folder.path("error.log")), "peer is down"));
    CHECK_FALSE(contains(contents(folder.path("error.log.1")), "peer is down"));
}
