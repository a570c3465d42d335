// tests/bench/generator.cpp: requests in short turns, over connections that stay open between them.
//
//   generator PORT PATH CONNECTIONS PIPELINE keep|close
//
// Opens the connections (with `close`: one a request, so many at once), then reads numbers of requests from
// standard input, a line each. For each it sends that many, waits for all answers, and prints one line:
//
//   REQUESTS MICROSECONDS FAILED P99_MICROSECONDS
//
// Every answer must be a 200 and as long as the first one; everything else counts as failed. Servers whose
// generators take turns of a tenth of a second see the same disturbances of the machine.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view good = "HTTP/1.1 200 ";
constexpr std::string_view last_chunk = "\r\n0\r\n\r\n";
constexpr int patience_ms = 10'000;

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::exit(1);
}

struct Options {
    std::uint16_t port = 0;
    std::string path;
    std::size_t connections = 1, pipeline = 1;
    bool close = false;
};

struct Connection {
    int fd = -1;
    std::size_t due = 0;       ///< answers that are still to come
    std::size_t received = 0;  ///< bytes of the answer that is coming
    std::string tail;          ///< its last bytes, of an answer in chunks
    Clock::time_point sent;
};

class Generator {
 public:
    explicit Generator(const Options& options) : options_(options), poll_(::epoll_create1(EPOLL_CLOEXEC)) {
        request_ = "GET " + options.path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options.port) +
                   "\r\n" + (options.close ? "Connection: close\r\n" : "") + "\r\n";
        for (std::size_t i = 0; i < options.pipeline; ++i) burst_ += request_;
        learn_size();
        connections_.resize(options.connections);
        if (!options.close)
            for (Connection& connection : connections_) open(connection);
    }

    void turn(std::size_t requests) {
        left_ = requests;
        failed_ = 0;
        took_us_.clear();
        const auto begun = Clock::now();
        std::size_t busy = 0;
        for (Connection& connection : connections_) busy += ask(connection) ? 1 : 0;
        while (busy > 0) {
            std::array<epoll_event, 64> events;
            const int count = ::epoll_wait(poll_, events.data(), events.size(), patience_ms);
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) give_up("no answer");
            for (int i = 0; i < count; ++i) {
                auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
                if (hear(connection) && !ask(connection)) --busy;
            }
        }
        const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun);
        std::printf("%zu %lld %zu %lld\n", requests, static_cast<long long>(took.count()), failed_, p99());
        std::fflush(stdout);
    }

 private:
    [[nodiscard]] int connected() const {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options_.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) give_up("connect");
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return fd;
    }

    /// One request by itself: how long an answer is.
    void learn_size() {
        const int fd = connected();
        if (::send(fd, request_.data(), request_.size(), MSG_NOSIGNAL) < 0) give_up("send");
        std::string head;
        while (head.find("\r\n\r\n") == head.npos) {
            const ssize_t got = ::recv(fd, buffer_.data(), buffer_.size(), 0);
            if (got <= 0) give_up("recv");
            head.append(buffer_.data(), static_cast<std::size_t>(got));
        }
        head.resize(head.find("\r\n\r\n") + 4);
        const auto length = head.find("Content-Length: ");
        chunked_ = head.find("Transfer-Encoding: chunked") != head.npos && options_.pipeline == 1;
        if (!head.starts_with(good) || (length == head.npos && !chunked_)) {
            std::fprintf(stderr, "not what was asked for: %s", head.c_str());
            std::exit(1);
        }
        if (!chunked_) size_ = head.size() + std::strtoull(head.c_str() + length + 16, nullptr, 10);
        ::close(fd);
    }

    void open(Connection& connection) {
        connection.fd = connected();
        connection.due = connection.received = 0;
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &connection;
        if (::epoll_ctl(poll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) give_up("epoll_ctl");
    }

    /// The next request or burst; false when none are left.
    bool ask(Connection& connection) {
        if (left_ == 0) return false;
        if (connection.fd < 0) open(connection);
        connection.due = std::min(left_, options_.pipeline);
        left_ -= connection.due;
        connection.sent = Clock::now();
        const std::size_t size = connection.due * request_.size();
        if (::send(connection.fd, burst_.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size))
            give_up("send");
        return true;
    }

    /// Whether the connection has had all its answers.
    bool hear(Connection& connection) {
        const ssize_t got = ::recv(connection.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return false;
        if (got <= 0) return ended(connection);
        const auto fresh = static_cast<std::size_t>(got);
        // An answer's first bytes: at the front of what came, when nothing of it had come before.
        if (connection.received == 0 && !std::string_view(buffer_.data(), fresh).starts_with(good)) ++failed_;
        connection.received += fresh;
        if (chunked_) return hear_chunks(connection, {buffer_.data(), fresh});
        while (connection.due > 0 && connection.received >= size_) {
            connection.received -= size_;
            --connection.due;
            if (connection.due == 0) note(connection);
        }
        if (connection.due > 0) return false;
        if (connection.received > 0) ++failed_;  // more than there can be
        connection.received = 0;
        return !options_.close;  // else its end is still to come
    }

    /// Of the answers that we ask for none has this anywhere but at its end.
    bool hear_chunks(Connection& connection, std::string_view fresh) {
        connection.tail.append(fresh.substr(fresh.size() - std::min(fresh.size(), last_chunk.size())));
        if (connection.tail.size() > last_chunk.size())
            connection.tail.erase(0, connection.tail.size() - last_chunk.size());
        if (connection.tail != last_chunk) return false;
        connection.tail.clear();
        connection.received = connection.due = 0;
        note(connection);
        return !options_.close;
    }

    bool ended(Connection& connection) {
        failed_ += connection.due;
        if (!options_.close) ++failed_;
        ::close(connection.fd);
        connection = {};
        return true;
    }

    void note(const Connection& connection) {
        const auto took =
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.sent);
        took_us_.push_back(took.count());
    }

    [[nodiscard]] long long p99() {
        if (took_us_.empty()) return 0;
        const auto at = took_us_.begin() + static_cast<std::ptrdiff_t>(took_us_.size() * 99 / 100);
        std::nth_element(took_us_.begin(), at, took_us_.end());
        return *at;
    }

    const Options& options_;
    int poll_;
    std::string request_, burst_;
    std::vector<Connection> connections_;
    std::vector<long long> took_us_;
    std::array<char, 256 * 1024> buffer_{};
    std::size_t size_ = 0, left_ = 0, failed_ = 0;
    bool chunked_ = false;  ///< answers say themselves where they end
};

}  // namespace

int main(int count, char** words) {
    if (count != 6) {
        std::fprintf(stderr, "usage: generator PORT PATH CONNECTIONS PIPELINE keep|close\n");
        return 2;
    }
    const Options options{.port = static_cast<std::uint16_t>(std::strtoul(words[1], nullptr, 10)),
                          .path = words[2],
                          .connections = std::strtoull(words[3], nullptr, 10),
                          .pipeline = std::strtoull(words[4], nullptr, 10),
                          .close = std::string_view(words[5]) == "close"};
    static Generator generator(options);
    std::size_t requests = 0;
    while (std::cin >> requests) generator.turn(requests);
    return 0;
}
