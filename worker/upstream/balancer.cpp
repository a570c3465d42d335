#include "worker/upstream/balancer.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

namespace worker::upstream {
namespace {

constexpr std::uint32_t points_per_weight = 64;  // of a peer on the ring: spreads keys within some percent
constexpr std::uint32_t ring_weight_max = 256;

/// Its weight; where peers start slowly in hundredths, of which there are more and more.
std::uint64_t share_of(const Peer& peer, std::uint64_t now_ms) noexcept {
    constexpr std::uint64_t whole = 100, first = 10;
    if (peer.slow_start == 0) return peer.config.weight;
    const std::uint64_t since = peer.checked ? peer.cell->health.recovered_ms() : 0;
    if (since == 0 || now_ms >= since + peer.slow_start) return peer.config.weight * whole;
    const std::uint64_t age = now_ms > since ? now_ms - since : 0;
    return peer.config.weight * std::max(first, age * whole / peer.slow_start);
}

/// Bijective, and every bit of the result depends on every bit of the value (Stafford's thirteenth mixer).
std::uint64_t mixed(std::uint64_t value) noexcept {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

}  // namespace

/// FNV-1a, 64 bits, and mixed: its own last bytes reach few bits only.
std::uint64_t hash_of(std::string_view key) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return mixed(hash);
}

Balancer::Balancer(const conf::Balance& balance, std::deque<Peer>& peers, Others others)
    : balance_(balance), peers_(peers), others_(std::move(others)), random_state_(std::random_device{}()) {
    const bool by_load =
        balance.how == conf::Balance::How::least_conn || balance.how == conf::Balance::How::random_two;
    needs_others_ = by_load || std::any_of(peers.begin(), peers.end(),
                                           [](const Peer& peer) { return peer.config.max_conns > 0; });
    if (balance.how == conf::Balance::How::hash) make_ring();
}

Peer* Balancer::next(std::uint64_t key, const Tried& tried, std::uint64_t now_ms) {
    if (needs_others_)
        for (Peer& peer : peers_) peer.others = others_(peer);
    full_ = false;
    if (find_candidates(false, tried, now_ms)) return choose(key);
    // Whoever is well may have been asked already, or be full: that makes nobody else well.
    return all_unwell() && find_candidates(true, tried, now_ms) ? choose(key) : nullptr;
}

bool Balancer::find_candidates(bool unwell_too, const Tried& tried, std::uint64_t now_ms) {
    for (const bool ejected_too : {false, true}) {
        for (const bool backup : {false, true}) {
            gather(backup, ejected_too, unwell_too, tried, now_ms);
            if (candidates_.empty()) continue;
            full_ = false;
            return true;
        }
    }
    return false;
}

bool Balancer::all_unwell() const noexcept {
    return std::all_of(peers_.begin(), peers_.end(),
                       [](const Peer& peer) { return !peer.up() || peer.unwell(); });
}

bool Balancer::takes(Peer& peer, std::uint64_t now_ms) {
    if (!peer.up() || peer.ejected(now_ms) || (peer.unwell() && !all_unwell())) return false;
    if (peer.config.max_conns == 0) return true;
    peer.others = others_(peer);
    return load_of(peer) < peer.config.max_conns;
}

void Balancer::gather(bool backup, bool ejected_too, bool unwell_too, const Tried& tried,
                      std::uint64_t now_ms) {
    candidates_.clear();
    for (Peer& peer : peers_) {
        if (peer.config.backup != backup || !peer.up()) continue;
        if (!ejected_too && peer.ejected(now_ms)) continue;
        if (!unwell_too && peer.unwell()) continue;
        const auto is_this = [&peer](const TriedPeer& one) { return one.is(peer); };
        if (std::any_of(tried.begin(), tried.end(), is_this)) continue;
        if (peer.config.max_conns > 0 && load_of(peer) >= peer.config.max_conns) {
            full_ = true;
            continue;
        }
        peer.share = share_of(peer, now_ms);
        candidates_.push_back(&peer);
    }
}

Peer* Balancer::choose(std::uint64_t key) {
    if (candidates_.size() == 1) return candidates_.front();
    switch (balance_.how) {
        case conf::Balance::How::round_robin: return round_robin();
        case conf::Balance::How::least_conn: return least_conn();
        case conf::Balance::How::random_two: return random_two();
        case conf::Balance::How::hash: return hash(key);
    }
    std::abort();
}

/// Each gains its weight, the richest is chosen and pays what all gained: a weight of 5 among ones is asked
/// now and then, and not five times in a row.
Peer* Balancer::round_robin() {
    Peer* best = nullptr;
    std::int64_t total = 0;
    for (Peer* peer : candidates_) {
        peer->current += static_cast<std::int64_t>(peer->share);
        total += static_cast<std::int64_t>(peer->share);
        if (best == nullptr || peer->current > best->current) best = peer;
    }
    best->current -= total;
    return best;
}

/// The fewest calls for its weight; among equals by turns.
Peer* Balancer::least_conn() {
    const auto less = [](const Peer* a, const Peer* b) {
        return load_of(*a) * b->share < load_of(*b) * a->share;
    };
    const Peer* least = *std::min_element(candidates_.begin(), candidates_.end(), less);
    std::erase_if(candidates_, [&](const Peer* peer) { return less(least, peer); });
    return candidates_.size() == 1 ? candidates_.front() : round_robin();
}

/// The better of two by chance (Mitzenmacher 2001): nearly as even as the best of all, and no herd runs to
/// the one that all workers saw as the best.
Peer* Balancer::random_two() {
    const auto pick = [this] {
        std::uint64_t total = 0;
        for (const Peer* peer : candidates_) total += peer->share;
        std::uint64_t at = random() % total;
        for (Peer* peer : candidates_) {
            if (at < peer->share) return peer;
            at -= peer->share;
        }
        return candidates_.back();
    };
    Peer* first = pick();
    std::erase(candidates_, first);
    Peer* second = pick();
    return load_of(*second) * first->share < load_of(*first) * second->share ? second : first;
}

/// Points on a ring (Karger et al. 1997): a key belongs to the next point behind its own. A peer that cannot
/// be asked leaves its keys to the next ones, and the others' keys stay.
Peer* Balancer::hash(std::uint64_t key) {
    auto at = std::lower_bound(ring_.begin(), ring_.end(), std::pair<std::uint64_t, Peer*>{key, nullptr},
                               [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t looked = 0; looked < ring_.size(); ++looked, ++at) {
        if (at == ring_.end()) at = ring_.begin();
        if (std::find(candidates_.begin(), candidates_.end(), at->second) != candidates_.end())
            return at->second;
    }
    return candidates_.front();
}

void Balancer::on_change() {
    if (balance_.how == conf::Balance::How::hash) make_ring();
}

void Balancer::make_ring() {
    ring_.clear();
    std::uint32_t divisor = 0;
    for (const Peer& peer : peers_)
        if (peer.present) divisor = std::gcd(divisor, peer.config.weight);
    for (Peer& peer : peers_) {
        if (!peer.present) continue;
        const std::uint32_t weight = std::min(peer.config.weight / std::max(divisor, 1u), ring_weight_max);
        for (std::uint32_t point = 0; point < weight * points_per_weight; ++point)
            ring_.emplace_back(hash_of(std::string(peer.name) + "#" + std::to_string(point)), &peer);
    }
    std::sort(ring_.begin(), ring_.end(), [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first < b.first : a.second->name < b.second->name;
    });
}

/// SplitMix64: all that a choice among peers needs.
std::uint64_t Balancer::random() noexcept { return mixed(random_state_ += 0x9e3779b97f4a7c15u); }

}  // namespace worker::upstream
