#include "worker/listener/acceptors.h"

#include <utility>

#include "worker/listener/thread_acceptor.h"

namespace worker::listener {

void Acceptors::add(ipc::SeatListener listener) {
    std::unique_ptr<Acceptor> acceptor;
    if (listener.blocking)
        acceptor = std::make_unique<ThreadAcceptor>(reception_, std::move(listener.socket), listener.address);
    else
        acceptor = std::make_unique<LoopAcceptor>(reception_, std::move(listener.socket), listener.address);
    taken_.push_back({listener.queue, listener.adopted, std::move(acceptor)});
}

void Acceptors::release(std::uint32_t queue) {
    std::erase_if(taken_, [&](const Taken& taken) {
        if (!taken.adopted || taken.queue != queue) return false;
        taken.acceptor->stop();
        return true;
    });
}

void Acceptors::stop() {
    for (const Taken& taken : taken_) taken.acceptor->stop();
    taken_.clear();
}

}  // namespace worker::listener
