#include "tests/integration/client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "tests/integration/check.h"

namespace integration {
namespace {

bool same_letters(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

/// The value of the line called `name` from `from` on; npos as its place when there is none.
struct Line {
    std::size_t at = std::string::npos;
    std::size_t size = 0;
    std::string value;
};

Line find_line(const std::string& head, std::string_view name) {
    for (std::size_t at = head.find("\r\n"); at != std::string::npos && at + 2 < head.size();) {
        at += 2;
        const auto end = head.find("\r\n", at);
        const auto line = std::string_view(head).substr(at, end - at);
        const auto colon = line.find(':');
        if (colon != std::string_view::npos && same_letters(line.substr(0, colon), name)) {
            const auto value = line.substr(colon + 1);
            const auto first = value.find_first_not_of(' ');
            return {at, line.size() + 2,
                    std::string(first == std::string_view::npos ? std::string_view() : value.substr(first))};
        }
        at = end;
    }
    return {};
}

ipc::UniqueFd open_tcp(std::uint16_t port, const std::string& host, int receive_buffer, bool& refused) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
        fail(host + " is no address");
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
    ipc::UniqueFd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) fail("no socket");
    if (receive_buffer > 0)
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    refused = ::connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0;
    return socket;
}

}  // namespace

std::string Response::field(std::string_view name) const { return find_line(head, name).value; }

bool Response::has(std::string_view name) const { return find_line(head, name).at != std::string::npos; }

std::string Response::text() const {
    std::string all = head;
    if (const auto date = find_line(all, "Date"); date.at != std::string::npos) all.erase(date.at, date.size);
    return all + "\r\n" + body;
}

Client::Client(std::uint16_t port, const std::string& host, int receive_buffer) {
    bool refused = false;
    socket_ = open_tcp(port, host, receive_buffer, refused);
    if (refused) fail("connect to port " + std::to_string(port) + ": " + std::strerror(errno));
}

Client::Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) fail(path + " is too long for a socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        fail("connect to " + path + ": " + std::strerror(errno));
}

bool Client::accepted(std::uint16_t port) {
    bool refused = false;
    const auto socket = open_tcp(port, "127.0.0.1", 0, refused);
    return !refused;
}

bool Client::send(std::string_view bytes) {
    auto start = Clock::now();
    while (!bytes.empty()) {
        const auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            start = Clock::now();  // it moves
            bytes.remove_prefix(static_cast<std::size_t>(sent));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return false;
        pollfd room{socket_.get(), POLLOUT, 0};
        if (::poll(&room, 1, milliseconds_left(start)) == 0) fail("the server takes no more bytes");
    }
    return true;
}

void Client::half_close() { ::shutdown(socket_.get(), SHUT_WR); }

bool Client::heard(int milliseconds) {
    if (ended_ || !input_.empty()) return true;
    pollfd readable{socket_.get(), POLLIN, 0};
    return ::poll(&readable, 1, milliseconds) > 0;
}

bool Client::receive() {
    const auto start = Clock::now();
    std::array<char, 65536> bytes;
    while (!ended_) {
        pollfd readable{socket_.get(), POLLIN, 0};
        const int ready = ::poll(&readable, 1, milliseconds_left(start));
        if (ready == 0) fail("nothing comes from the server; so far: " + input_.substr(0, 200));
        if (ready < 0) continue;
        const auto got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
        if (got > 0) {
            input_.append(bytes.data(), static_cast<std::size_t>(got));
            return true;
        }
        ended_ = got == 0 || errno != EINTR;
    }
    return false;
}

Response Client::head() {
    Response response;
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos)
        if (!receive()) return response;
    response.head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    constexpr std::string_view version = "HTTP/1.1 ";
    if (response.head.size() < version.size() + 3 || !response.head.starts_with(version))
        fail("not a response: " + response.head);
    response.status = std::stoi(response.head.substr(version.size(), 3));
    return response;
}

Response Client::response(Body body) {
    Response response = head();
    const bool has_none = response.status < 200 || response.status == 204 || response.status == 304;
    if (body == Body::none || has_none) return response;
    const std::string length = response.field("Content-Length");
    if (length.empty()) fail("a response without a length: " + response.head);
    response.body = take(std::stoull(length));
    if (response.body.size() != std::stoull(length)) return {};
    return response;
}

std::string Client::take(std::size_t size) {
    while (input_.size() < size && receive()) continue;
    std::string taken = input_.substr(0, size);
    input_.erase(0, taken.size());
    return taken;
}

std::string Client::rest() {
    while (receive()) continue;
    return std::exchange(input_, {});
}

std::string get(const std::string& target, const std::string& lines) {
    return "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + lines + "\r\n";
}

std::string post(const std::string& target, const std::string& body, const std::string& lines) {
    return "POST " + target + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n" + lines + "\r\n" + body;
}

}  // namespace integration
