// tests/worker/upstream_world.h: an upstream whose peers the test plays itself, and callers that remember.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <functional>
#include <utility>

#include "ipc/clock.h"
#include "ipc/event.h"
#include "worker/upstream/call.h"

/// One connection, as the peer has it.
struct Conversation {
    explicit Conversation(ipc::UniqueFd taken) : socket(std::move(taken)) {}

    /// Takes what came. Until told otherwise, a peer listens.
    void listen() {
        std::array<char, 65'536> some;
        while (listens && !ended) {
            const auto got = ::recv(socket.get(), some.data(), some.size(), MSG_DONTWAIT);
            if (got > 0) heard.append(some.data(), static_cast<std::size_t>(got));
            if (got == 0 || (got < 0 && errno != EAGAIN)) ended = true;
            if (got <= 0) return;
        }
    }
    /// As much of what is to be said as fits.
    void talk() {
        while (!saying.empty()) {
            const auto sent = ::send(socket.get(), saying.data(), saying.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent <= 0) return;
            said += static_cast<std::size_t>(sent);
            saying.erase(0, static_cast<std::size_t>(sent));
        }
    }
    void say(std::string_view text) {
        saying.append(text);
        talk();
    }
    void close() { socket = {}, ended = true, listens = false; }
    void reset() {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close();
    }

    ipc::UniqueFd socket;
    std::string heard, saying;
    std::size_t said = 0;
    bool listens = true;
    bool ended = false;
};

/// A peer at a port of its own.
class Backend {
 public:
    explicit Backend(int backlog = 64) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(socket_.get(), backlog) == 0);
        socklen_t size = sizeof address;
        REQUIRE(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        config.address = {conf::Address::Family::ipv4, "127.0.0.1", ntohs(address.sin_port)};
    }
    /// From here on connections are refused.
    void leave() { socket_ = {}; }
    /// Takes what waits, unless nobody is to be taken.
    void attend() {
        while (takes && socket_) {
            ipc::UniqueFd taken(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!taken) break;
            const int on = 1;
            ::setsockopt(taken.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            talks.emplace_back(std::move(taken));
        }
        for (Conversation& talk : talks) {
            talk.listen();
            talk.talk();
        }
    }
    [[nodiscard]] std::string name() const { return config.address.text(); }

    conf::UpstreamPeer config;
    std::deque<Conversation> talks;  ///< in the order they came
    bool takes = true;

 private:
    ipc::UniqueFd socket_{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
};

/// A loop, an upstream of these peers on it, and the time they need.
class World {
 public:
    using Change = std::function<void(conf::Upstream&)>;

    explicit World(std::initializer_list<Backend*> backends, const Change& change = {},
                   ipc::Scoreboard* board = nullptr, ipc::WorkerCell* own = nullptr)
        : backends_(backends), config_(configure(change)), upstreams_(config_, loop, board, own) {}
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    /// Whatever happened, every call has left its peer.
    ~World() {
        for (auto& peer : upstream().peers()) CHECK(peer.use->active.get() == 0);
    }

    /// Turns the loop until it is so; false: it never was.
    bool until(std::function<bool()> so) {
        so_ = std::move(so);
        holds_ = false;
        give_up_ms_ = ipc::monotonic_us() / 1000 + 10'000;
        event_.arm(std::chrono::milliseconds(0));
        loop.run();
        event_.disarm();
        return holds_;
    }
    /// Lets a deadline of the loop pass: all that were due before it have been called. `meanwhile`: each
    /// turn.
    void let_pass(std::uint64_t ms, const std::function<void()>& meanwhile = {}) {
        struct Over final : worker::execution::Deadline {
            void on_deadline() noexcept override { over = true; }
            bool over = false;
        } over;
        loop.arm(over, ms);
        CHECK(until([&] {
            if (meanwhile) meanwhile();
            return over.over;
        }));
    }
    /// What has arrived is served: some turns in which nothing else happens.
    void settle(int turns = 5) {
        CHECK(until([&] { return turns-- == 0; }));
    }

    [[nodiscard]] worker::upstream::Upstream& upstream() { return upstreams_.find("u"); }
    [[nodiscard]] worker::upstream::Upstreams& upstreams() { return upstreams_; }
    [[nodiscard]] worker::upstream::Peer& peer(std::size_t index) { return upstream().peers().at(index); }
    [[nodiscard]] std::uint64_t failures(std::size_t index, ipc::CallFailure kind) {
        return peer(index).use->failures[static_cast<std::size_t>(kind)].get();
    }
    [[nodiscard]] std::uint64_t all_failures(std::size_t index) {
        std::uint64_t sum = 0;
        for (const auto& counter : peer(index).use->failures) sum += counter.get();
        return sum;
    }

 private:
    conf::Config configure(const Change& change) {
        conf::Config config;
        conf::Upstream& made = config.upstreams.emplace_back();
        made.name = "u";
        made.eject_failures = 0;
        for (const Backend* backend : backends_) made.peers.push_back(backend->config);
        if (change) change(made);
        return config;
    }
    void on_time(short) {
        loop.enter();
        for (Backend* backend : backends_) backend->attend();
        holds_ = so_();
        if (holds_ || ipc::monotonic_us() / 1000 > give_up_ms_) return loop.stop();
        event_.arm(std::chrono::milliseconds(1));
    }

    ipc::LoopCell cell_;

 public:
    worker::execution::Loop loop{cell_, std::chrono::milliseconds(60'000)};

 private:
    std::vector<Backend*> backends_;
    conf::Config config_;
    worker::upstream::Upstreams upstreams_;
    std::function<bool()> so_;
    bool holds_ = false;
    std::uint64_t give_up_ms_ = 0;
    ipc::Event event_ = ipc::Event::timer<&World::on_time>(this, loop.base());
};

/// A call, and all that its caller heard of it.
class Asked final : public worker::upstream::Caller {
 public:
    explicit Asked(World& world) : world_(world), call(world.upstreams(), *this) {
        question.head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        question.idempotent = true;
        question.terms = &terms;
    }

    /// As a request that must not be made twice.
    Asked& post() {
        question.head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        question.idempotent = false;
        return *this;
    }
    /// As an upload of unknown length, which may be made twice.
    Asked& put() {
        question.head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        question.body = question.chunked = true;
        return *this;
    }
    Asked& begin() {
        events.clear();
        payload.clear();
        reason.clear();
        status = 0;
        over = false;
        call.start(world_.upstream(), question);
        return *this;
    }
    /// Waits for the end, whichever. What happened, in one line: "connected 200 length 3 end".
    std::string end() {
        CHECK(world_.until([this] { return over; }));
        CHECK(call.over());
        return events;
    }

    void on_connected(const worker::upstream::Peer&) override { note("connected"); }
    void on_interim(const worker::http::ResponseHead& head) override { note(std::to_string(head.status)); }
    void on_response(const worker::http::ResponseHead& head, worker::http::Framing framing,
                     std::uint64_t length) override {
        constexpr std::array names{"none", "length", "chunked", "until_end"};
        status = head.status;
        server = head.value(worker::http::Known::server);
        note(std::to_string(head.status) + " " + names.at(static_cast<std::size_t>(framing)) + " " +
             std::to_string(length));
    }
    void on_payload(std::string_view bytes) override {
        CHECK_FALSE(over);
        payload.append(bytes);
        if (in_payload) in_payload();
    }
    void on_pipe(const worker::connection::Ref<worker::connection::Pipe>& from, std::uint64_t size) override {
        CHECK_FALSE(over);
        ++pipes;
        pipe = from;
        in_pipe += size;
        if (on_piped) on_piped();
    }
    void on_end(std::string_view lines) override {
        trailers = lines;
        over = true;
        note("end");
    }
    void on_drained() override {
        ++drained;
        if (in_drained) in_drained();
    }
    void on_stderr(std::string_view bytes) override {
        CHECK_FALSE(over);
        aside.append(bytes);
    }
    void on_failure(const worker::upstream::Failure& failure) override {
        over = true;
        reason = failure.reason;
        note("failed " + std::to_string(failure.status));
    }

    /// Takes what is in the pipe.
    void empty_pipe() {
        std::array<char, 65'536> some;
        while (in_pipe > 0) {
            const auto got =
                ::read(pipe->reading.get(), some.data(), std::min<std::uint64_t>(some.size(), in_pipe));
            REQUIRE(got > 0);
            payload.append(some.data(), static_cast<std::size_t>(got));
            in_pipe -= static_cast<std::uint64_t>(got);
        }
        pipe = {};
    }

 private:
    void note(const std::string& event) {
        CHECK_FALSE((over && event != "end" && !event.starts_with("failed")));
        events.append(events.empty() ? "" : " ").append(event);
        if (on_event) on_event(event);
    }

    World& world_;

 public:
    conf::Proxy terms;
    worker::upstream::Question question;
    worker::upstream::Call call;

    std::function<void(const std::string&)> on_event;
    std::function<void()> in_payload, in_drained, on_piped;

    std::string events, payload, trailers, reason, server, aside;
    worker::http::Status status = 0;
    int drained = 0, pipes = 0;
    worker::connection::Ref<worker::connection::Pipe> pipe;
    std::uint64_t in_pipe = 0;
    bool over = false;
};
