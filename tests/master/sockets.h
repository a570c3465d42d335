// tests/master/sockets.h: clients, folders and waiting, for tests of the master.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "conf/config.h"
#include "ipc/unique_fd.h"

namespace test {

/// A folder of its own, removed with everything in it.
class Folder {
 public:
    Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
    std::string path_ = "/tmp/reeve-test-XXXXXX";
};

inline conf::Listen listen_on(const std::string& host, std::uint16_t port = 0) {
    conf::Listen listen;
    listen.address.host = host;
    listen.address.port = port;
    if (host.find(':') != std::string::npos) listen.address.family = conf::Address::Family::ipv6;
    if (host.find('/') != std::string::npos) listen.address.family = conf::Address::Family::unix_path;
    return listen;
}

/// A connection to 127.0.0.1; none when it is refused.
inline ipc::UniqueFd connect_to(std::uint16_t port) {
    ipc::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return {};
    return socket;
}

/// What the peer says until it closes; "timeout" or "...reset" when it does not end well.
inline std::string read_to_end(int socket, int wait_ms = 10'000) {
    std::string text;
    std::array<char, 256> bytes{};
    for (;;) {
        pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, wait_ms) != 1) return "timeout";
        const auto size = ::recv(socket, bytes.data(), bytes.size(), 0);
        if (size < 0) return text + "reset";
        if (size == 0) return text;
        text.append(bytes.data(), static_cast<std::size_t>(size));
    }
}

/// Looks again and again until `condition` holds; false when it never did.
template <class Condition>
bool eventually(const Condition& condition, std::chrono::seconds limit = std::chrono::seconds(15)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

}  // namespace test
