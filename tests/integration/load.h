// tests/integration/load.h: clients that ask without rest while a test does something to the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace integration {

/// Threads, each with one request at a time: some keep their connection as long as the server does, the
/// others take a new one for each request. Every request must be answered with 200: one that was sent and
/// gets no answer is a failure, also on a kept connection, unless that was announced by `Connection: close`.
class Load {
 public:
    Load(std::uint16_t port, int keeping, int connecting, std::string target = "/");
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    ~Load() { finish(); }

    [[nodiscard]] std::uint64_t answered() const { return answered_.load(); }
    /// Ends the clients. What went wrong, a line each; empty when nothing did.
    std::string finish();

 private:
    void run(bool keep);
    /// Empty when all went well.
    [[nodiscard]] std::string ask(int socket, bool keep, bool& closed);
    [[nodiscard]] int connect() const;
    void failed(const std::string& why);

    std::uint16_t port_;
    std::string target_;
    std::atomic<bool> done_{false};
    std::atomic<std::uint64_t> answered_{0};
    std::mutex mutex_;
    std::vector<std::string> failures_;
    std::vector<std::thread> threads_;
};

}  // namespace integration
