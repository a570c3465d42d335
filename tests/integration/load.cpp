#include "tests/integration/load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ipc/unique_fd.h"
#include "tests/integration/check.h"

namespace integration {
namespace {

constexpr std::size_t failures_max = 20;

}  // namespace

Load::Load(std::uint16_t port, int keeping, int connecting, std::string target)
    : port_(port), target_(std::move(target)) {
    for (int count = 0; count < keeping; ++count) threads_.emplace_back([this] { run(true); });
    for (int count = 0; count < connecting; ++count) threads_.emplace_back([this] { run(false); });
}

int Load::connect() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
    const int why = errno;
    ::close(socket);
    errno = why;
    return -1;
}

void Load::failed(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (failures_.size() < failures_max) failures_.push_back(why);
}

void Load::run(bool keep) {
    ipc::UniqueFd socket;
    while (!done_) {
        if (!socket) socket = ipc::UniqueFd(connect());
        if (!socket) {
            failed(std::string("connect: ") + std::strerror(errno));
            return;
        }
        bool closed = !keep;
        const auto why = ask(socket.get(), keep, closed);
        if (!why.empty()) failed((keep ? "kept connection: " : "new connection: ") + why);
        if (why.empty()) ++answered_;
        if (closed || !why.empty()) socket.reset();
    }
}

std::string Load::ask(int socket, bool keep, bool& closed) {
    const std::string request =
        "GET " + target_ + " HTTP/1.1\r\nHost: test\r\n" + (keep ? "" : "Connection: close\r\n") + "\r\n";
    if (::send(socket, request.data(), request.size(), MSG_NOSIGNAL) < 0)
        return std::string("send: ") + std::strerror(errno);
    std::string got;
    for (;;) {
        pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 30'000) <= 0) return "no answer in time";
        std::array<char, 4096> bytes{};
        const auto size = ::recv(socket, bytes.data(), bytes.size(), 0);
        if (size < 0) return std::string("receive: ") + std::strerror(errno);
        if (size == 0) return got.empty() ? "closed without an answer" : "the answer was cut";
        got.append(bytes.data(), static_cast<std::size_t>(size));
        const auto head = got.find("\r\n\r\n");
        if (head == std::string::npos) continue;
        const auto length = got.find("Content-Length: ");
        if (length == std::string::npos || length > head) return "no Content-Length";
        if (got.size() - head - 4 < std::stoul(got.substr(length + 16))) continue;
        if (!got.starts_with("HTTP/1.1 200 ")) return got.substr(0, got.find('\r'));
        const auto close = got.find("Connection: close");
        closed = closed || close < head;
        return {};
    }
}

std::string Load::finish() {
    done_ = true;
    for (auto& thread : threads_)
        if (thread.joinable()) thread.join();
    std::string all;
    for (const auto& failure : failures_) all += failure + "\n";
    return all;
}

}  // namespace integration
