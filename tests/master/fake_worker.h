// tests/master/fake_worker.h: a worker that keeps to the protocol and answers each connection with its slot.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ipc/clock.h"
#include "ipc/seat.h"

namespace test {

/// Says "SLOT PID" to whoever connects, and does what the master says. One thread, poll(2).
class FakeWorker {
 public:
    explicit FakeWorker(ipc::Seat seat) : seat_(std::move(seat)) {}

    /// READY, then serves until told to leave. Returns the exit status.
    int run() {
        if (!seat_.channel.send(ipc::Ready{.slot = seat_.slot})) return 8;
        while (!leaving_) {
            seat_.cell->loop.heartbeat_ms.set(ipc::monotonic_ms());
            turn();
        }
        return 0;
    }

 private:
    void turn() {
        std::vector<pollfd> waiting{{.fd = seat_.channel.fd(), .events = POLLIN, .revents = 0}};
        if (serving_) {
            for (const auto& listener : seat_.listeners)
                waiting.push_back({.fd = listener.socket.get(), .events = POLLIN, .revents = 0});
            for (const auto& [queue, sockets] : adopted_)
                for (const auto& socket : sockets)
                    waiting.push_back({.fd = socket.get(), .events = POLLIN, .revents = 0});
        }
        ::poll(waiting.data(), waiting.size(), 100);
        for (std::size_t index = 1; index < waiting.size(); ++index)
            if (waiting[index].revents != 0) answer_one(waiting[index].fd);
        if (waiting[0].revents != 0) hear();
    }

    void answer_one(int listener) {
        const ipc::UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection) return;
        seat_.cell->loop.accepted.add();
        const auto text = std::to_string(seat_.slot) + " " + std::to_string(::getpid());
        (void)!::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }

    void hear() {
        ipc::Received received;
        const auto got = seat_.channel.receive(received);
        if (!got || *got == ipc::Got::closed) leaving_ = true;
        if (!got || *got != ipc::Got::message) return;
        const auto& message = received.message;
        if (std::holds_alternative<ipc::Serve>(message)) serving_ = true;
        if (std::holds_alternative<ipc::Stop>(message) || std::holds_alternative<ipc::Drain>(message))
            leaving_ = true;
        if (const auto* reopen = std::get_if<ipc::Reopen>(&message)) {
            const std::string line = "reopened by " + std::to_string(seat_.slot) + "\n";
            for (const auto& file : received.descriptors)
                (void)!::write(file.get(), line.data(), line.size());
            (void)!seat_.channel.send(ipc::Reopened{.request = reopen->request});
        }
        if (const auto* adopt = std::get_if<ipc::Adopt>(&message))
            for (auto& socket : received.descriptors) adopted_[adopt->queue].push_back(std::move(socket));
        if (const auto* release = std::get_if<ipc::Release>(&message)) adopted_.erase(release->queue);
    }

    ipc::Seat seat_;
    bool serving_ = false;
    bool leaving_ = false;
    std::map<std::uint32_t, std::vector<ipc::UniqueFd>> adopted_;
};

}  // namespace test
