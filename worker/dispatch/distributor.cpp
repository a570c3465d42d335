#include "worker/dispatch/distributor.h"

#include <algorithm>
#include <utility>

namespace worker::dispatch {
namespace {

constexpr std::uint32_t under_way_max = 256;  // more stay in the kernel's queue
constexpr std::uint64_t silent_ms = 1000;     // a loop that has not turned for so long gets nothing new

}  // namespace

bool moves(const ipc::LoopCell& cell, std::uint64_t now_ms) {
    return now_ms < cell.heartbeat_ms.get() + silent_ms;
}

Distributor::Distributor(execution::Loop& loop, conf::Handoff how, std::vector<LoopDoor> doors)
    : loop_(loop), how_(how), doors_(std::move(doors)), last_(doors_.size() - 1) {
    for (std::size_t i = 0; i < doors_.size(); ++i)
        under_way_.push_back(std::make_shared<std::atomic<std::uint32_t>>(0));
}

void Distributor::open(ipc::UniqueFd socket, const connection::Peer& peer, std::uint32_t address) {
    last_ = choose();
    under_way_[last_]->fetch_add(1, std::memory_order_relaxed);
    doors_[last_].mailbox.post([socket = std::move(socket), peer, address,
                                connections = doors_[last_].connections,
                                under_way = under_way_[last_]]() mutable {
        under_way->fetch_sub(1, std::memory_order_relaxed);
        connections->open(std::move(socket), peer, address);
    });
}

bool Distributor::has_room() const {
    for (std::size_t door = 0; door < doors_.size(); ++door)
        if (under_way_[door]->load(std::memory_order_relaxed) < under_way_max) return true;
    return false;
}

bool Distributor::takes(std::size_t door) const {
    return under_way_[door]->load(std::memory_order_relaxed) < under_way_max &&
           moves(doors_[door].cell, loop_.clock().now_ms());
}

/// Beginning behind the last one; when none moves, that is the one.
std::size_t Distributor::choose() {
    const auto load = [this](std::size_t door) {
        return doors_[door].cell.connections.get() + under_way_[door]->load(std::memory_order_relaxed);
    };
    const std::size_t after = (last_ + 1) % doors_.size();
    std::size_t best = doors_.size();
    for (std::size_t step = 0; step < doors_.size(); ++step) {
        const std::size_t door = (after + step) % doors_.size();
        if (!takes(door)) continue;
        if (how_ == conf::Handoff::round_robin) return door;
        if (best == doors_.size() || load(door) < load(best)) best = door;
    }
    return best == doors_.size() ? after : best;
}

}  // namespace worker::dispatch
