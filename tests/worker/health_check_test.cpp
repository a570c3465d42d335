// tests/worker/health_check_test.cpp: one check against a peer that answers as it is told.
#include "worker/upstream/health_check.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <functional>
#include <optional>
#include <thread>

#include "tests/worker/turn.h"

namespace {

using namespace std::chrono_literals;
using worker::execution::Loop;
using worker::upstream::Finding;

/// A listening socket of 127.0.0.1.
struct Listener {
    Listener() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof any;
        REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&any), size) == 0);
        REQUIRE(::listen(socket.get(), 8) == 0);
        REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&any), &size) == 0);
        port = ntohs(any.sin_port);
    }
    ipc::UniqueFd socket;
    std::uint16_t port = 0;
};

/// Takes one connection, reads a request, says these pieces a moment apart, and closes.
class Peer {
 public:
    explicit Peer(std::vector<std::string> pieces, bool hang = false)
        : thread_([this, pieces = std::move(pieces), hang] { serve(pieces, hang); }) {}
    ~Peer() {
        ::shutdown(listener_.socket.get(), SHUT_RDWR);  // should nobody have come
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] std::uint16_t port() const { return listener_.port; }
    [[nodiscard]] std::string asked() {
        thread_.join();
        return asked_;
    }

 private:
    void serve(const std::vector<std::string>& pieces, bool hang) {
        const ipc::UniqueFd connection(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
        char bytes[4096];
        while (asked_.find("\r\n\r\n") == std::string::npos) {
            const auto got = ::recv(connection.get(), bytes, sizeof bytes, 0);
            if (got <= 0) return;
            asked_.append(bytes, static_cast<std::size_t>(got));
        }
        for (const auto& piece : pieces) {
            if (::send(connection.get(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
            if (pieces.size() > 1) std::this_thread::sleep_for(1ms);
        }
        while (hang && ::recv(connection.get(), bytes, sizeof bytes, 0) > 0) continue;
    }
    Listener listener_;
    std::string asked_;
    std::thread thread_;
};

/// Runs one check to its end.
class Asker final : worker::upstream::Checker {
 public:
    /// `start` does no more than call what it is given.
    static Finding ask(
        const conf::HealthCheck& check, std::uint16_t port,
        const std::function<void(const std::function<void()>&)>& start = [](const auto& now) { now(); }) {
        Asker asker(check, port);
        start([&asker] { asker.check_.start(); });
        asker.loop_.run();
        return *asker.finding_;
    }

 private:
    static conf::UpstreamPeer peer(std::uint16_t port) {
        conf::UpstreamPeer peer;
        peer.address = {conf::Address::Family::ipv4, "127.0.0.1", port};
        return peer;
    }
    Asker(const conf::HealthCheck& check, std::uint16_t port)
        : loop_(cell_), check_(check, peer(port), loop_, *this) {}
    void on_finding(const Finding& finding) override {
        finding_ = finding;
        loop_.stop();
    }
    ipc::LoopCell cell_;
    Loop loop_;
    worker::upstream::HealthCheck check_;
    std::optional<Finding> finding_;
};

conf::HealthCheck http(std::string body = {}) {
    conf::HealthCheck check;
    check.how = conf::HealthCheck::How::http;
    check.method = "GET";
    check.target = "/healthz";
    check.every = check.timeout = 20s;
    check.body = std::move(body);
    return check;
}

/// Empty: it passed.
std::string reason(const conf::HealthCheck& check, std::vector<std::string> pieces) {
    Peer peer(std::move(pieces));
    const auto finding = Asker::ask(check, peer.port());
    CHECK(finding.passed == finding.reason.empty());
    return finding.reason;
}

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nall ok\n";

}  // namespace

TEST_CASE("without descriptors for a check nothing is said of the peer", "[health]") {
    const Listener listener;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none = before;
    none.rlim_cur = 3;
    // A loop has descriptors of its own, and sanitizers look at objects through pipes: the limit is for this
    // call alone.
    const auto finding = Asker::ask(http(), listener.port, [&](const auto& start) {
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
        start();
        ::setrlimit(RLIMIT_NOFILE, &before);
    });
    CHECK_FALSE(finding.passed);
    CHECK(finding.ours);
    CHECK(finding.reason == "Too many open files");
}

TEST_CASE("a check asks for its path with a host, and passes on 200", "[health]") {
    Peer peer({ok});
    auto check = http();
    const auto finding = Asker::ask(check, peer.port());
    CHECK(finding.passed);
    CHECK(finding.latency_us > 0);
    const auto asked = peer.asked();
    CHECK(asked.starts_with("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(peer.port()) +
                            "\r\n"));
    CHECK(asked.find("\r\nConnection: close\r\n") != std::string::npos);

    Peer named({ok});
    check.host = "example.org";
    CHECK(Asker::ask(check, named.port()).passed);
    CHECK(named.asked().find("\r\nHost: example.org\r\n") != std::string::npos);
}

TEST_CASE("an answer passes wherever it is cut", "[health]") {
    const std::vector<std::string> answers{
        ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n3\r\nok\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nall ok\n", "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + ok};
    for (const auto& answer : answers)
        for (std::size_t cut = 1; cut < answer.size(); cut += 3) {
            CAPTURE(answer, cut);
            CHECK(reason(http("all ok"), {answer.substr(0, cut), answer.substr(cut)}) == "");
        }
}

TEST_CASE("a check says why it failed", "[health]") {
    CHECK(reason(http(), {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"}) == "status 503");
    CHECK(reason(http("well"), {ok}) == "the body lacks what it should hold");
    CHECK(reason(http("x"), {"HTTP/1.1 204 None\r\n\r\n"}) == "the body lacks what it should hold");
    CHECK(reason(http(), {"SSH-2.0-x\r\n\r\n"}).starts_with("no answer in HTTP: "));
    CHECK(reason(http(), {}) == "the connection ended before the answer");
    CHECK(reason(http(), {"HTTP/1.1 200 OK\r\n"}) == "the connection ended within the answer");
    CHECK(reason(http(), {ok.substr(0, ok.size() - 1)}) == "the connection ended within the answer");
    CHECK(reason(http(), {"HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x')}) ==
          "no answer in HTTP: its header is too large");
    std::uint16_t nobody = 0;
    { nobody = Listener().port; }
    CHECK(Asker::ask(http(), nobody).reason == "Connection refused");
}

TEST_CASE("of a long body no more is read than is looked at", "[health]") {
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
    const std::string filler(worker::upstream::HealthCheck::body_max - 4, 'x');
    CHECK(reason(http("well"), {head + filler + "well"}) == "");
    CHECK(reason(http("well"), {head + filler + "-well"}) == "the body lacks what it should hold");
    std::string interim;
    while (interim.size() < 300'000) interim += "HTTP/1.1 102 Processing\r\n\r\n";
    CHECK(reason(http(), {interim}) == "the answer is too long");
}

TEST_CASE("statuses that pass can be told", "[health]") {
    auto check = http();
    check.status_min = check.status_max = 404;
    CHECK(reason(check, {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}) == "");
    CHECK(reason(check, {ok}) == "status 200");
}

TEST_CASE("a HEAD has no body to wait for", "[health]") {
    auto check = http();
    check.method = "HEAD";
    Peer peer({"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"}, true);
    CHECK(Asker::ask(check, peer.port()).passed);
    CHECK(peer.asked().starts_with("HEAD /healthz "));
}

TEST_CASE("a check ends in time, and says how far it came", "[health]") {
    auto check = http();
    check.timeout = 50ms;
    {
        Peer peer({}, true);
        CHECK(Asker::ask(check, peer.port()).reason == "timeout, no answer");
    }
    Peer peer({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour"}, true);
    const auto finding = Asker::ask(check, peer.port());
    CHECK(finding.reason == "timeout, the answer is not whole");
    CHECK(finding.latency_us >= 49'000);
}

TEST_CASE("tcp passes once the connection is taken, and says nothing", "[health]") {
    conf::HealthCheck check;
    check.how = conf::HealthCheck::How::tcp;
    check.timeout = 20s;
    const Listener listener;
    CHECK(Asker::ask(check, listener.port).passed);
    const ipc::UniqueFd connection(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char byte = 0;
    CHECK(::recv(connection.get(), &byte, 1, 0) == 0);
    check.port = listener.port;
    CHECK(Asker::ask(check, 1).passed);  // another port than the peer's own
}
