// master/adoption.cpp: siblings take what waits; a queue without a future is emptied and closed.
#include "master/adoption.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

namespace master {
namespace {

using ipc::SlotState;

constexpr std::uint64_t slow_start_ms =
    1000;  ///< after this a sibling takes what waits for a starting worker

}  // namespace

void Adoption::begin(std::uint64_t now) {
    for (auto& retired : listeners_.retired()) {
        const bool known = std::any_of(orphans_.begin(), orphans_.end(), [&](const Orphan& orphan) {
            return orphan.retired.socket == retired.socket;
        });
        if (known) continue;
        const auto queue = next_queue_++;
        orphans_.push_back({queue, std::move(retired), now, std::nullopt});
    }
}

void Adoption::settle(const Slots& slots, std::uint64_t now) {
    for (const auto& slot : slots) settle_slot(*slot, slots, now);
    std::erase_if(orphans_, [&](Orphan& orphan) { return !settle_orphan(orphan, slots, now); });
}

void Adoption::forget(std::uint32_t adopter, const Slots& slots) {
    for (const auto& slot : slots)
        if (slot->adopter == adopter) slot->adopter.reset();
    for (auto& orphan : orphans_)
        if (orphan.adopter == adopter) orphan.adopter.reset();
}

void Adoption::give_back(Slot& slot, const Slots& slots) const {
    if (!slot.adopter) return;
    for (std::uint32_t queue = slot.index() * queues_; queue < (slot.index() + 1) * queues_; ++queue)
        slots[*slot.adopter]->tell(ipc::Release{.queue = queue});
    slot.adopter.reset();
}

// ---- slots ----------------------------------------------------------------------------------------

bool Adoption::needs_adopter(const Slot& slot, std::uint64_t now) {
    switch (slot.state) {
        case SlotState::stuck:
        case SlotState::backing_off: return true;
        case SlotState::starting: return now - slot.started_ms >= slow_start_ms;
        case SlotState::ready:
        case SlotState::draining:
        case SlotState::empty: return false;
    }
    return false;
}

void Adoption::settle_slot(Slot& slot, const Slots& slots, std::uint64_t now) {
    const bool adopted = slot.adopter && slots[*slot.adopter]->state == SlotState::ready;
    if (needs_adopter(slot, now) ? adopted : !slot.adopter) return;
    if (slot.adopter) {
        if (slot.state == SlotState::starting && adopted) return;  // until its own worker is READY
        give_back(slot, slots);
    }
    if (!needs_adopter(slot, now)) return;

    const auto sibling = least_loaded(slots, &slot);
    if (!sibling) return;
    const auto& entries = listeners_.all();
    for (std::uint32_t address = 0; address < entries.size(); ++address) {
        for (std::uint32_t queue = slot.index() * queues_; queue < (slot.index() + 1) * queues_; ++queue) {
            const auto& socket = entries[address].socket(queue);
            if (!entries[address].has_queues() || !socket->listening()) continue;
            slots[*sibling]->tell(ipc::Adopt{.queue = queue, .listener = address},
                                  std::array{socket->fd.get()});
            slot.adopter = sibling;
        }
    }
}

// ---- sockets without a slot -----------------------------------------------------------------------

bool Adoption::settle_orphan(Orphan& orphan, const Slots& slots, std::uint64_t now) {
    if (orphan.adopter && slots[*orphan.adopter]->state != SlotState::ready) orphan.adopter.reset();
    const auto& socket = orphan.retired.socket;
    const auto& entry = listeners_.all()[orphan.retired.address];
    if (orphan.adopter && !held_ && now - orphan.since_ms >= retire_ms && Listener::pending(*socket) == 0u) {
        slots[*orphan.adopter]->tell(ipc::Release{.queue = orphan.queue});
        if (const auto closed = entry.listener->close(socket); !closed)
            spdlog::error("cannot close a socket that is not needed any more why={:?}",
                          closed.error().text());
        return false;
    }
    if (orphan.adopter) return true;
    orphan.adopter = least_loaded(slots, nullptr);
    if (orphan.adopter)
        slots[*orphan.adopter]->tell(ipc::Adopt{.queue = orphan.queue, .listener = orphan.retired.address},
                                     std::array{socket->fd.get()});
    return true;
}

std::optional<std::uint32_t> Adoption::least_loaded(const Slots& slots, const Slot* except) const {
    std::optional<std::uint32_t> best;
    std::uint64_t best_load = 0;
    for (const auto& slot : slots) {
        if (slot->state != SlotState::ready || slot.get() == except) continue;
        std::uint64_t load = 0;
        for (const auto row : slot->rows) load += board_.row(row).loop.connections.get();
        if (best && load >= best_load) continue;
        best = slot->index();
        best_load = load;
    }
    return best;
}

}  // namespace master
