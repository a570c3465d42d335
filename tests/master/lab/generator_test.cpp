// tests/master/lab/generator_test.cpp: what a server does shows in the figures, all of it.
#include "master/lab/generator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "ipc/unique_fd.h"

using namespace master::lab;

namespace {

std::string answer(int status) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 2\r\n\r\nok";
}

/// One thread that answers one request after the other, by what it is told: `reply` gives the bytes; none:
/// never; empty: it hangs up.
class FakeServer {
 public:
    using Reply = std::function<std::optional<std::string>(const std::string& target)>;

    explicit FakeServer(Reply reply)
        : reply_(std::move(reply)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(listener_.get(), 64) == 0);
        REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;
    ~FakeServer() {
        over_ = true;
        thread_.join();
    }
    std::uint16_t port = 0;

 private:
    void serve() {
        std::vector<ipc::UniqueFd> clients;
        while (!over_) {
            std::vector<pollfd> waiting{{listener_.get(), POLLIN, 0}};
            for (const auto& client : clients) waiting.push_back({client.get(), POLLIN, 0});
            if (::poll(waiting.data(), waiting.size(), 5) <= 0) continue;
            for (std::size_t i = 1; i < waiting.size(); ++i)
                if (waiting[i].revents != 0) hear(clients[i - 1]);
            if (waiting[0].revents != 0)
                clients.emplace_back(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            std::erase_if(clients, [](const auto& client) { return !client; });
        }
    }
    void hear(ipc::UniqueFd& client) {
        std::array<char, 4096> bytes{};
        const auto got = ::recv(client.get(), bytes.data(), bytes.size(), 0);
        if (got <= 0) return client.reset();
        const std::string text(bytes.data(), static_cast<std::size_t>(got));  // whole: it is short
        const auto target = text.substr(4, text.find(' ', 4) - 4);
        const auto reply = target == "/warm" ? answer(200) : reply_(target);
        if (!reply) return;
        if (reply->empty()) return client.reset();
        (void)!::send(client.get(), reply->data(), reply->size(), MSG_NOSIGNAL);
    }

    Reply reply_;
    ipc::UniqueFd listener_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

Outcome ask(const FakeServer& server, const Load& load, const std::atomic<bool>& stop = false) {
    const auto arrivals = schedule(load, 1);
    auto outcome = Generator(server.port, load, arrivals, stop).run();
    if (!outcome) FAIL(outcome.error().text());
    if (!outcome->stopped) CHECK(outcome->samples.size() == arrivals.size());  // nothing is left out
    return std::move(*outcome);
}

std::size_t count(const Outcome& outcome, Sample::End end) {
    return static_cast<std::size_t>(std::count_if(outcome.samples.begin(), outcome.samples.end(),
                                                  [end](const Sample& one) { return one.end == end; }));
}

}  // namespace

TEST_CASE("every request is sent and answered", "[lab]") {
    const FakeServer server([](const std::string&) { return answer(200); });
    const auto outcome = ask(server, {{{.name = "a", .target = "/a", .per_second = 200, .clients = 4},
                                       {.name = "b", .target = "/b", .per_second = 50, .clients = 2}},
                                      0.5});
    CHECK(outcome.samples.size() > 60);
    CHECK(count(outcome, Sample::End::answered) == outcome.samples.size());
    for (const Sample& one : outcome.samples) CHECK((one.stream == 0 ? one.client < 4 : one.client >= 4));
    CHECK(outcome.lateness.count() > 0);
}

// A closed loop would have sent one request during the pause, and seen one that is slow.
TEST_CASE("while a server stands still requests go on coming, and each has waited", "[lab]") {
    constexpr int pause_ms = 300;
    bool paused = false;
    const FakeServer server([&](const std::string&) {
        if (!std::exchange(paused, true)) ::poll(nullptr, 0, pause_ms);
        return answer(200);
    });
    for (const std::uint32_t clients : {1u, 50u}) {
        paused = false;
        CAPTURE(clients);
        const auto outcome =
            ask(server, {{{.target = "/", .per_second = 100, .clients = clients, .evenly = true}}, 1});
        std::vector<std::uint64_t> slow;
        for (const Sample& one : outcome.samples)
            if (one.latency_us > 50'000) slow.push_back(one.latency_us);
        CHECK(slow.size() >= 20);  // of the 30 that came meanwhile, those that waited for more than 50 ms
        CHECK(*std::max_element(slow.begin(), slow.end()) >= pause_ms * 1000);
    }
}

TEST_CASE("refused, failed and unanswered requests are told apart", "[lab]") {
    int turn = 0;
    const FakeServer server([&](const std::string& target) -> std::optional<std::string> {
        if (target == "/never") return std::nullopt;
        switch (turn++ % 4) {
            case 0: return answer(503);
            case 1: return answer(404);
            case 2: return "";
            default: return answer(200);
        }
    });
    const auto outcome = ask(server, {{{.target = "/turns", .per_second = 100, .clients = 1, .evenly = true},
                                       {.target = "/never", .per_second = 20, .clients = 1, .evenly = true}},
                                      0.4});
    CHECK(count(outcome, Sample::End::refused) >= 8);
    CHECK(count(outcome, Sample::End::failed) >= 16);
    CHECK(count(outcome, Sample::End::answered) >= 8);
    CHECK(count(outcome, Sample::End::unanswered) >= 7);
    for (const Sample& one : outcome.samples)
        if (one.end == Sample::End::unanswered) CHECK(one.latency_us >= 400'000);
}

TEST_CASE("clients with arrivals of their own wait for nobody else", "[lab]") {
    const FakeServer server([](const std::string& target) -> std::optional<std::string> {
        return target == "/never" ? std::nullopt : std::optional(answer(200));
    });
    const auto outcome =
        ask(server, {{{.target = "/never", .per_second = 10, .clients = 1},
                      {.target = "/light", .per_second = 90, .clients = 3, .each_its_own = true}},
                     0.5});
    for (const Sample& one : outcome.samples)
        CHECK((one.stream == 0) == (one.end == Sample::End::unanswered));
    for (const std::uint32_t client : {1u, 2u, 3u})
        CHECK(std::any_of(outcome.samples.begin(), outcome.samples.end(),
                          [client](const Sample& one) { return one.client == client; }));
}

TEST_CASE("a server that is gone fails requests, and keeps nobody", "[lab]") {
    int left = 5;
    const FakeServer server(
        [&](const std::string&) -> std::optional<std::string> { return left-- > 0 ? answer(200) : ""; });
    const auto outcome = ask(server, {{{.target = "/", .per_second = 500, .clients = 3}}, 0.3});
    CHECK(count(outcome, Sample::End::answered) == 5);
    CHECK(count(outcome, Sample::End::failed) == outcome.samples.size() - 5);

    const Load load{{{.target = "/", .per_second = 10}}, 0.1};
    const auto arrivals = schedule(load, 1);
    const std::atomic<bool> stop{false};
    std::uint16_t gone = 0;
    {
        const FakeServer closed([](const std::string&) { return answer(200); });
        gone = closed.port;
    }
    CHECK_FALSE(Generator(gone, load, arrivals, stop).run());
}

TEST_CASE("whoever is told to stop does so soon", "[lab]") {
    const FakeServer server([](const std::string&) { return answer(200); });
    std::atomic<bool> stop{false};
    std::thread stopping([&] {
        ::poll(nullptr, 0, 50);
        stop = true;
    });
    const auto outcome = ask(server, {{{.target = "/", .per_second = 1}}, 3600}, stop);
    stopping.join();
    CHECK(outcome.stopped);
}
