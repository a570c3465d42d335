// worker/upstream/balancer.h: which peer is asked next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/upstream/peer.h"

namespace worker::upstream {

/// The hash of a key, the same in every worker and after every restart.
[[nodiscard]] std::uint64_t hash_of(std::string_view key) noexcept;

/// A peer that a call has asked already. Who takes its place later was not.
struct TriedPeer {
    explicit TriedPeer(const Peer& asked) noexcept : peer(&asked), epoch(asked.epoch) {}
    [[nodiscard]] bool is(const Peer& other) const noexcept { return peer == &other && epoch == other.epoch; }

    const Peer* peer;
    std::uint32_t epoch;
};
using Tried = std::vector<TriedPeer>;

/// Chooses among those that can be asked: primaries, then backups, and only then those that are ejected:
/// failing to ask anybody would help nobody. Nor does anybody count as down by its checks when all are, of
/// both kinds: while a backup is well it is asked in place of primaries that are down. Loop thread only.
class Balancer {
 public:
    /// Calls of other workers to a peer; refreshed by the balancer when it needs them.
    using Others = std::function<std::uint64_t(const Peer&)>;

    /// `peers` must outlive it, and stay.
    Balancer(const conf::Balance& balance, std::deque<Peer>& peers, Others others);

    /// Null: none is left, or all are at `max_conns`. `key`: of `hash`, by `hash_of`.
    [[nodiscard]] Peer* next(std::uint64_t key, const Tried& tried, std::uint64_t now_ms);
    /// Whether that one may be asked now: up, well (or nobody is), not ejected, and below `max_conns`.
    [[nodiscard]] bool takes(Peer& peer, std::uint64_t now_ms);
    /// Peers have come, gone, or weigh another number.
    void on_change();
    /// Whether the last `next` found peers, all of them at `max_conns`.
    [[nodiscard]] bool was_full() const noexcept { return full_; }

 private:
    [[nodiscard]] bool find_candidates(bool unwell_too, const Tried& tried, std::uint64_t now_ms);
    void gather(bool backup, bool ejected_too, bool unwell_too, const Tried& tried, std::uint64_t now_ms);
    [[nodiscard]] bool all_unwell() const noexcept;
    [[nodiscard]] Peer* choose(std::uint64_t key);
    [[nodiscard]] Peer* round_robin();
    [[nodiscard]] Peer* least_conn();
    [[nodiscard]] Peer* random_two();
    [[nodiscard]] Peer* hash(std::uint64_t key);
    void make_ring();
    [[nodiscard]] static std::uint64_t load_of(const Peer& peer) noexcept {
        return peer.use->active.get() + peer.others;
    }
    [[nodiscard]] std::uint64_t random() noexcept;

    conf::Balance balance_;
    std::deque<Peer>& peers_;
    Others others_;
    std::vector<Peer*> candidates_;                      ///< of this call of `next`
    std::vector<std::pair<std::uint64_t, Peer*>> ring_;  ///< of `hash`: points in order
    std::uint64_t random_state_;
    bool needs_others_ = false;
    bool full_ = false;
};

}  // namespace worker::upstream
