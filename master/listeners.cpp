// master/listeners.cpp: checks first, binds then, so that a refusal has touched nothing.
#include "master/listeners.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace master {
namespace {

/// One of ours may answer there, for the same port of all addresses or of another one: then a probe says
/// nothing.
bool may_overlap(const conf::Address& address, const std::vector<Listeners::Entry>& before) {
    return std::any_of(before.begin(), before.end(), [&](const auto& entry) {
        const auto& bound = entry.listener->address();
        return bound.family == address.family && bound.port == address.port;
    });
}

}  // namespace

ipc::Result<Listeners> Listeners::bind(const std::vector<conf::Listen>& plan, Sharing sharing,
                                       std::uint32_t queues, const Listeners& before) {
    // Each one of before is taken up once: several may be on port 0, and be different then.
    std::vector<const Entry*> left;
    for (const auto& entry : before.entries_) left.push_back(&entry);
    std::vector<const Entry*> kept;
    for (const auto& wanted : plan) {
        const auto same = std::find_if(left.begin(), left.end(), [&](const Entry* entry) {
            return entry->listener->requested() == wanted.address;
        });
        kept.push_back(same == left.end() ? nullptr : *same);
        if (same != left.end()) left.erase(same);
    }
    for (std::size_t index = 0; index < plan.size(); ++index) {
        if (kept[index] != nullptr || may_overlap(plan[index].address, before.entries_)) continue;
        if (auto free = Listener::check_free(plan[index].address); !free)
            return tl::make_unexpected(std::move(free.error()));
    }

    Listeners bound;
    for (std::size_t index = 0; index < plan.size(); ++index) {
        std::shared_ptr<Listener> listener;
        if (kept[index] != nullptr) {
            listener = kept[index]->listener;
        } else {
            auto made = Listener::make(plan[index], sharing);
            if (!made) return tl::make_unexpected(std::move(made.error()));
            listener = std::move(*made);
        }
        auto sockets = listener->lay_out(sharing, queues, kept[index] ? kept[index]->sockets : Layout{});
        if (!sockets) return tl::make_unexpected(std::move(sockets.error()));
        bound.entries_.push_back({std::move(listener), plan[index], std::move(*sockets), sharing.one});
    }
    return bound;
}

ipc::Result<void> Listeners::listen() {
    for (auto& entry : entries_) {
        entry.listener->listen_again();
        for (const auto& socket : entry.sockets)
            if (auto done = entry.listener->listen(socket, entry.plan.backlog); !done) return done;
    }
    return {};
}

ipc::Result<void> Listeners::steer(const std::vector<bool>& live) {
    for (auto& entry : entries_) {
        std::vector<const ListenSocket*> sockets;
        for (std::uint32_t queue = 0; queue < live.size(); ++queue)
            if (live[queue] || !entry.has_queues()) sockets.push_back(entry.socket(queue).get());
        if (auto done = entry.listener->steer(sockets); !done) return done;
    }
    return {};
}

void Listeners::leave_to(const Listeners& next) noexcept {
    for (auto& entry : entries_) {
        const bool stays = std::any_of(next.entries_.begin(), next.entries_.end(),
                                       [&](const Entry& other) { return other.listener == entry.listener; });
        if (!stays) entry.listener->deafen();
    }
}

std::vector<Listeners::Retired> Listeners::retired() const {
    std::vector<Retired> all;
    for (std::uint32_t address = 0; address < entries_.size(); ++address) {
        const auto& entry = entries_[address];
        for (const auto& socket : entry.listener->group())
            if (std::find(entry.sockets.begin(), entry.sockets.end(), socket) == entry.sockets.end())
                all.push_back({address, socket});
    }
    return all;
}

std::vector<ipc::SeatListener> Listeners::for_seat(std::uint32_t slot, std::uint32_t loops) const {
    std::vector<ipc::SeatListener> seats;
    for (std::uint32_t address = 0; address < entries_.size(); ++address) {
        for (std::uint32_t loop = 0; loop < loops; ++loop) {
            const std::uint32_t queue = slot * loops + loop;
            const auto& socket = entries_[address].socket(queue);
            const int inherited = socket->fd.get();
            const bool first = loop == 0 || entries_[address].has_queues();
            seats.push_back(
                {.socket = ipc::UniqueFd(first ? inherited : ::fcntl(inherited, F_DUPFD_CLOEXEC, 3)),
                 .address = address,
                 .queue = queue,
                 .loop = loop,
                 .blocking = socket->blocking});
        }
    }
    return seats;
}

std::vector<ipc::SeatPart> Listeners::parts_of_seat(std::uint32_t slot, std::uint32_t loops) const {
    std::vector<ipc::SeatPart> parts;
    parts.reserve(entries_.size());
    for (std::uint32_t address = 0; address < entries_.size(); ++address) {
        const std::uint32_t first = slot * loops;
        ipc::SeatPart part{ipc::SeatSockets{.address = address,
                                            .queue = first,
                                            .blocking = entries_[address].socket(first)->blocking ? 1u : 0u},
                           {}};
        for (std::uint32_t queue = first; queue < first + loops; ++queue)
            part.descriptors.push_back(entries_[address].socket(queue)->fd.get());
        parts.push_back(std::move(part));
    }
    return parts;
}

}  // namespace master
