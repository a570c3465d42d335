// worker/listener/acceptors.h: all acceptors of a loop, and which queue each takes from.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ipc/seat.h"
#include "worker/listener/acceptor.h"

namespace worker::listener {

/// Loop thread only.
class Acceptors {
 public:
    /// `reception` must outlive it.
    explicit Acceptors(connection::Reception& reception) noexcept : reception_(reception) {}

    /// On the loop, or by a thread where the socket blocks.
    void add(ipc::SeatListener listener);
    /// Lets adopted sockets of that queue go, and takes what waits there before.
    void release(std::uint32_t queue);
    /// All of them.
    void stop();

 private:
    struct Taken {
        std::uint32_t queue;
        bool adopted;
        std::unique_ptr<Acceptor> acceptor;
    };

    connection::Reception& reception_;
    std::vector<Taken> taken_;
};

}  // namespace worker::listener
