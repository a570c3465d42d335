// ipc/rate_table.cpp: slots of a tag and a TAT, each of which changes by compare-and-swap alone.
#include "ipc/rate_table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

#include "ipc/counter.h"

namespace ipc {

/// The two words do not change together. Every pair that a death or a race leaves behind means something
/// harmless: a key with a TAT in the past is an absent one, and a TAT of another key is bounded in `take`.
struct RateTable::Slot {
    std::atomic<std::uint64_t> tag;     ///< the key; a slot never used is that of key 0, who owes nothing
    std::atomic<std::uint64_t> tat_ns;  ///< in the past: the slot is free
};

struct alignas(RateTable::alignment) RateTable::Bucket {
    std::array<Slot, bucket_keys> slots;
};

struct alignas(RateTable::alignment) RateTable::Head {
    Counter displaced;
};

namespace {

constexpr std::uint64_t ns_per_us = 1000;
/// How far the times that processes call "now" may lie apart.
constexpr std::uint64_t clocks_apart_ns_max = 1'000'000'000;

constexpr std::uint64_t us_rounded_up(std::uint64_t ns) { return (ns + ns_per_us - 1) / ns_per_us; }

}  // namespace

RateTable::RateTable(std::span<std::byte> memory) noexcept
    : head_(reinterpret_cast<Head*>(memory.data())),
      buckets_(reinterpret_cast<Bucket*>(memory.data() + sizeof(Head)),
               std::max(memory.size(), sizeof(Head)) / sizeof(Bucket) - 1) {
    static_assert(sizeof(Head) == alignment && sizeof(Bucket) == alignment);
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
    if (buckets_.empty() || reinterpret_cast<std::uintptr_t>(memory.data()) % alignment != 0) std::abort();
}

RateTable::Decision RateTable::take(std::uint64_t key, const Rate& rate, std::uint64_t now_us) noexcept {
    const std::uint64_t now = now_us * ns_per_us;
    const std::uint64_t ahead_max = rate.period_ns * rate.burst;
    const std::uint64_t tat_max = now + ahead_max + rate.period_ns + clocks_apart_ns_max;
    for (;;) {  // again only when another process changed the slot meanwhile
        Slot& slot = slot_of(key, now);
        std::uint64_t tat = slot.tat_ns.load();
        if (slot.tag.load() != key) continue;
        const std::uint64_t due = tat > tat_max ? now : std::max(tat, now);
        if (due - now > ahead_max) return {false, us_rounded_up(due - now - ahead_max)};
        if (!slot.tat_ns.compare_exchange_strong(tat, due + rate.period_ns)) continue;
        if (slot.tag.load() == key) return {true, 0};
        // The slot went to another key, which is not to pay for this one.
        std::uint64_t charged = due + rate.period_ns;
        slot.tat_ns.compare_exchange_strong(charged, tat);
    }
}

/// The slot of `key`, made from the one with the earliest TAT when there is none.
RateTable::Slot& RateTable::slot_of(std::uint64_t key, std::uint64_t now_ns) noexcept {
    auto& slots = buckets_[((key >> 32) * buckets_.size()) >> 32].slots;
    for (;;) {
        Slot* earliest = nullptr;
        std::uint64_t tag = 0, tat = 0;
        for (auto& slot : slots) {
            const std::uint64_t slot_tag = slot.tag.load();
            if (slot_tag == key) return slot;
            const std::uint64_t slot_tat = slot.tat_ns.load();
            if (earliest != nullptr && slot_tat >= tat) continue;
            earliest = &slot;
            tag = slot_tag;
            tat = slot_tat;
        }
        // First the TAT: so its owner either paid before, and this fails, or starts anew. Then the tag, to a
        // slot that owes nothing. Who dies in between leaves a free slot.
        const bool busy = tat > now_ns;
        if (!earliest->tat_ns.compare_exchange_strong(tat, 0)) continue;
        if (!earliest->tag.compare_exchange_strong(tag, key)) continue;
        if (busy) head_->displaced.add_shared();
        return *earliest;
    }
}

std::uint64_t RateTable::displaced() const noexcept { return head_->displaced.get(); }

}  // namespace ipc
