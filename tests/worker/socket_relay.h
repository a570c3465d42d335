// tests/worker/socket_relay.h: stands between a client and the socket of a server, and can break what is
// between.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <list>
#include <string>
#include <thread>

#include "ipc/unique_fd.h"

/// A thread of its own. Any number of connections.
class SocketRelay {
 public:
    SocketRelay(const std::string& path, const std::string& target) : target_(target) {
        listener_ = ipc::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto address = address_of(path);
        if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
            ::listen(listener_.get(), 16) < 0)
            std::abort();
        thread_ = std::thread([this] { live(); });
    }
    SocketRelay(const SocketRelay&) = delete;
    SocketRelay& operator=(const SocketRelay&) = delete;
    ~SocketRelay() {
        over_ = true;
        thread_.join();
    }

    /// What the server says next nobody hears: both sides see the connection end.
    void cut_at_next_answer() { cut_ = true; }
    [[nodiscard]] int cuts() const { return cuts_; }

 private:
    struct Pair {
        ipc::UniqueFd client, server;
    };
    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        return address;
    }
    static bool pass(int from, int to) {
        char bytes[65536];
        const auto got = ::read(from, bytes, sizeof bytes);
        for (ssize_t sent = 0; sent < got;) {
            const auto put = ::send(to, bytes + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
            if (put <= 0) return false;
            sent += put;
        }
        return got > 0;
    }
    static bool readable(int fd) {
        pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
        return ::poll(&one, 1, 0) > 0;
    }
    void accept() {
        Pair pair{ipc::UniqueFd(::accept(listener_.get(), nullptr, nullptr)),
                  ipc::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))};
        const auto address = address_of(target_);
        if (::connect(pair.server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            pairs_.push_back(std::move(pair));
    }
    void live() {
        while (!over_) {
            std::vector<pollfd> all{{.fd = listener_.get(), .events = POLLIN, .revents = 0}};
            for (const auto& pair : pairs_)
                for (const int fd : {pair.client.get(), pair.server.get()})
                    all.push_back({.fd = fd, .events = POLLIN, .revents = 0});
            if (::poll(all.data(), all.size(), 20) <= 0) continue;
            if (readable(listener_.get())) accept();
            for (auto pair = pairs_.begin(); pair != pairs_.end();) {
                bool lives = true;
                if (readable(pair->server.get())) {
                    if (cut_.exchange(false)) {
                        ++cuts_;
                        lives = false;
                    } else {
                        lives = pass(pair->server.get(), pair->client.get());
                    }
                }
                if (lives && readable(pair->client.get()))
                    lives = pass(pair->client.get(), pair->server.get());
                pair = lives ? std::next(pair) : pairs_.erase(pair);
            }
        }
    }

    std::string target_;
    ipc::UniqueFd listener_;
    std::list<Pair> pairs_;
    std::atomic<bool> cut_{false}, over_{false};
    std::atomic<int> cuts_{0};
    std::thread thread_;
};
