// master/listeners.cpp: checks first, binds then, so that a refusal has touched nothing.
#include "master/listeners.h"

#include <utility>

namespace master {

ipc::Result<Listeners> Listeners::bind(const std::vector<conf::Listen>& plan, conf::Accept accept,
                                       std::uint32_t slots) {
    for (const auto& address : plan)
        if (auto free = Listener::check_free(address); !free)
            return tl::make_unexpected(std::move(free.error()));
    Listeners bound;
    for (const auto& address : plan) {
        auto listener = Listener::bind(address, accept, slots);
        if (!listener) return tl::make_unexpected(std::move(listener.error()));
        bound.listeners_.push_back(std::move(*listener));
    }
    return bound;
}

ipc::Result<void> Listeners::listen(std::uint32_t slot) {
    for (auto& listener : listeners_)
        if (auto done = listener.listen(slot); !done) return done;
    return {};
}

ipc::Result<void> Listeners::steer(const std::vector<bool>& live) {
    for (auto& listener : listeners_)
        if (auto done = listener.steer(live); !done) return done;
    return {};
}

std::vector<ipc::SeatListener> Listeners::for_seat(std::uint32_t slot) const {
    std::vector<ipc::SeatListener> seats;
    for (std::uint32_t address = 0; address < listeners_.size(); ++address) {
        const auto& listener = listeners_[address];
        seats.push_back({.socket = ipc::UniqueFd(listener.socket_of(slot)),
                         .address = address,
                         .blocking = listener.blocking()});
    }
    return seats;
}

}  // namespace master
