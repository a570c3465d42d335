// worker/upstream/health_check.cpp: connect, ask, and read on until it is clear what to think of the answer.
#include "worker/upstream/health_check.h"

#include <spdlog/fmt/fmt.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "ipc/clock.h"

namespace worker::upstream {
namespace {

constexpr std::size_t read_bytes = 16 * 1024;

conf::UpstreamPeer target_of(const conf::HealthCheck& check, conf::UpstreamPeer peer) {
    if (check.port != 0) peer.address.port = check.port;
    return peer;
}

std::string request_of(const conf::HealthCheck& check, const conf::UpstreamPeer& peer) {
    if (check.how != conf::HealthCheck::How::http) return {};
    const bool is_local = peer.address.family == conf::Address::Family::unix_path;
    const bool is_host = peer.is_name() && !peer.service;
    const auto host = !check.host.empty() ? check.host
                      : is_local          ? "localhost"
                      : is_host           ? peer.text()
                                          : peer.address.text();
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: reeve-sentinel\r\nAccept: */*\r\nConnection: "
        "close\r\n\r\n",
        check.method, check.target, host);
}

/// Errors of socket() and connect() that say nothing of the peer.
bool is_ours(int error) {
    static constexpr std::array ours{EMFILE, ENFILE, ENOBUFS, ENOMEM};
    return std::find(ours.begin(), ours.end(), error) != ours.end();
}

std::string text_of(int error) {
    std::array<char, 128> buffer{};
    return ::strerror_r(error, buffer.data(), buffer.size());
}

}  // namespace

HealthCheck::HealthCheck(const conf::HealthCheck& check, const conf::UpstreamPeer& peer,
                         execution::Loop& loop, Checker& checker)
    : check_(check),
      loop_(loop),
      checker_(checker),
      target_(target_of(check, peer)),
      request_(request_of(check, peer)),
      timer_(ipc::Event::timer<&HealthCheck::on_time>(this, loop.base())) {}

void HealthCheck::start() {
    begun_us_ = ipc::monotonic_us();
    sent_ = received_ = 0;
    input_.clear();
    body_.clear();
    phase_ = Phase::connecting;
    timer_.arm(check_.timeout);
    ipc::UniqueFd socket(::socket(target_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket) return fail_to_connect(errno);
    const auto* address = reinterpret_cast<const sockaddr*>(&target_.address);
    const bool done = ::connect(socket.get(), address, target_.address_size) == 0;
    if (!done && errno != EINPROGRESS) return fail_to_connect(errno);
    transport_ = std::make_unique<connection::Transport>(std::move(socket));
    wait_for(EV_WRITE);
}

void HealthCheck::wait_for(short interest) {
    socket_ = ipc::Event::calling<&HealthCheck::on_socket>(this, loop_.base(), transport_->fd(), interest);
    socket_.arm();
}

void HealthCheck::on_socket(short) {
    loop_.enter();
    advance();
}

void HealthCheck::on_time(short) {
    loop_.enter();
    switch (phase_) {
        case Phase::idle: return checker_.on_finding(finding_);
        case Phase::connecting: return fail("timeout while connecting");
        case Phase::sending: return fail("timeout while asking");
        case Phase::head: return fail("timeout, no answer");
        case Phase::body: return fail("timeout, the answer is not whole");
    }
}

void HealthCheck::advance() {
    if (phase_ == Phase::connecting && !connected()) return;
    if (phase_ == Phase::sending && !send()) return;
    if (phase_ == Phase::head || phase_ == Phase::body) receive();
}

/// Whether to go on now.
bool HealthCheck::connected() {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(transport_->fd(), SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    if (error != 0) return fail(text_of(error)), false;
    if (check_.how == conf::HealthCheck::How::tcp) return pass(), false;
    phase_ = Phase::sending;
    return true;
}

bool HealthCheck::send() {
    while (sent_ < request_.size()) {
        const auto moved = transport_->send(request_.data() + sent_, request_.size() - sent_, false);
        if (moved.io == connection::Io::ended) return fail("the connection ended before the answer"), false;
        if (moved.io == connection::Io::blocked) return wait_for(EV_WRITE), false;
        sent_ += moved.bytes;
    }
    phase_ = Phase::head;
    parser_.reset(head_, check_.method == "HEAD", head_max);
    wait_for(EV_READ);
    return false;
}

void HealthCheck::receive() {
    std::array<char, read_bytes> bytes;
    while (running()) {
        const auto moved = transport_->receive(bytes.data(), bytes.size());
        if (moved.io == connection::Io::blocked) return socket_.arm();
        if (moved.io == connection::Io::ended) return on_peer_end();
        received_ += moved.bytes;
        if (received_ > bytes_max) return fail("the answer is too long");
        if (phase_ == Phase::body) {
            consume_body(std::span(bytes).first(moved.bytes));
        } else {
            input_.append(bytes.data(), moved.bytes);
            consume_head();
        }
    }
}

void HealthCheck::consume_head() {
    for (;;) {
        const auto parsed = parser_.head(input_);
        if (parsed == http::Parsed::more) return;
        if (parsed == http::Parsed::refused)
            return fail("no answer in HTTP: " + std::string(parser_.complaint()));
        if (head_.status >= 200 || head_.status == 101) break;
        input_.erase(0, head_.head_size);  // an interim response
        parser_.reset(head_, check_.method == "HEAD", head_max);
    }
    if (head_.status < check_.status_min || head_.status > check_.status_max)
        return fail(fmt::format("status {}", head_.status));
    phase_ = Phase::body;
    body_left_ = parser_.framing() == http::Framing::length ? parser_.content_length() : 0;
    const std::string rest = input_.substr(head_.head_size);
    if (parser_.framing() == http::Framing::none) return whole();
    consume_body(rest);
}

void HealthCheck::consume_body(std::span<const char> bytes) {
    switch (parser_.framing()) {
        case http::Framing::none: return whole();
        case http::Framing::until_end: take_payload({bytes.data(), bytes.size()}); break;
        case http::Framing::length: {
            const auto size = std::min<std::uint64_t>(bytes.size(), body_left_);
            take_payload({bytes.data(), static_cast<std::size_t>(size)});
            body_left_ -= size;
            if (body_left_ == 0) return whole();
            break;
        }
        case http::Framing::chunked: {
            std::size_t taken = 0;
            const auto parsed = parser_.body(bytes, taken);
            if (parsed == http::Parsed::refused)
                return fail("no answer in HTTP: " + std::string(parser_.complaint()));
            for (const auto payload : parser_.payload()) take_payload(payload);
            if (parsed == http::Parsed::complete) return whole();
            break;
        }
    }
    if (body_.size() >= body_max) whole();
}

void HealthCheck::take_payload(std::string_view bytes) {
    body_.append(bytes.substr(0, body_max - body_.size()));
}

void HealthCheck::on_peer_end() {
    if (phase_ == Phase::body && parser_.framing() == http::Framing::until_end) return whole();
    fail(received_ == 0 ? "the connection ended before the answer"
                        : "the connection ended within the answer");
}

/// All of the answer is there that is looked at.
void HealthCheck::whole() {
    if (!check_.body.empty() && body_.find(check_.body) == std::string::npos)
        return fail("the body lacks what it should hold");
    pass();
}

void HealthCheck::fail_to_connect(int error) {
    fail(text_of(error));
    finding_.ours = is_ours(error);
}

void HealthCheck::settle(std::string reason) {
    socket_ = ipc::Event();
    transport_.reset();
    phase_ = Phase::idle;
    const bool passed = reason.empty();
    finding_ = {.passed = passed,
                .ours = false,
                .reason = std::move(reason),
                .latency_us = ipc::monotonic_us() - begun_us_};
    timer_.arm(std::chrono::milliseconds{0});
}

}  // namespace worker::upstream
