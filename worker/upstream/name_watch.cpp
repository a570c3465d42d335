// worker/upstream/name_watch.cpp: when to ask, and what an answer changes.
#include "worker/upstream/name_watch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "ipc/clock.h"
#include "worker/upstream/places.h"

namespace worker::upstream {
namespace {

std::uint64_t count_ms(conf::Milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

}  // namespace

NameWatch::NameWatch(const Surroundings& around, std::function<void()> on_change)
    : around_(around),
      on_change_(std::move(on_change)),
      resolution_(around.peer, around.upstream.resolver.families, around.channel, around.loop, *this),
      timer_(ipc::Event::timer<&NameWatch::on_time>(this, around.loop.base())) {
    for (std::uint32_t number = 0; number < board_places_.size(); ++number)
        board_places_[number] = around.board.place(around.upstream.name, around.peer.text(), number);
    load();
    // Somebody has looked after it until now, and we take over.
    constexpr std::uint64_t fresh_ms = 5000;
    settled_ = cell().addresses.get() > 0 && ipc::monotonic_ms() <= cell().next_ms.get() + fresh_ms;
}

/// What stands there; nothing, when that is not whole.
void NameWatch::load() {
    version_ = cell().version();
    const auto stored = cell().read().value_or(ipc::NameCell::Places{});
    places_.assign(stored.begin(), stored.begin() + around_.peer.peers_max);
}

void NameWatch::begin() {
    if (watching_) {
        const bool whole = cell().version() == 0 || cell().read();
        if (!whole) return store(std::vector(places_));  // one who had lost the right wrote there late
        if (cell().version() == version_) return;
    }
    watching_ = true;
    load();
    on_change_();
    timer_.arm(std::chrono::milliseconds(0));
}

void NameWatch::on_time(short) {
    around_.loop.enter();
    watching_ = around_.right.held();
    if (watching_) resolution_.start();
}

void NameWatch::on_resolved(const Resolved& resolved) {
    watching_ = around_.right.held();
    const bool first = !std::exchange(settled_, true);
    if (watching_) {
        const auto now = ipc::monotonic_ms();
        resolved.addresses.empty() ? fail(resolved, now) : take(resolved, now);
    }
    if (first) on_change_();
}

void NameWatch::fail(const Resolved& resolved, std::uint64_t now_ms) {
    cell().failures.add();
    cell().reason.set(resolved.reason);
    const auto kept = cell().addresses.get();
    if (std::exchange(told_, resolved.reason) != resolved.reason)
        spdlog::warn("name is not resolved upstream={} name={} why={:?} addresses_kept={}",
                     around_.upstream.name, around_.peer.text(), resolved.reason, kept);
    retry_ms_ = std::clamp(retry_ms_ * 2, retry_first_ms, retry_last_ms);
    plan(now_ms, retry_ms_);
}

void NameWatch::take(const Resolved& resolved, std::uint64_t now_ms) {
    const auto& resolver = around_.upstream.resolver;
    const auto ttl = std::clamp<std::uint64_t>(std::uint64_t{resolved.ttl} * 1000, count_ms(resolver.ttl_min),
                                               count_ms(resolver.ttl_max));
    auto placed = place_addresses(places_, resolved.addresses, resolved.incomplete);
    const bool changed = placed.places != places_ || cell().version() == 0;
    if (changed || cell().version() != version_) store(placed.places);
    cell().answers.add();
    cell().answered_ms.set(now_ms);
    cell().ttl_ms.set(ttl);
    cell().reason.set(resolved.incomplete ? resolved.reason : std::string());
    if (placed.left_over != std::exchange(left_over_, placed.left_over) && placed.left_over > 0)
        spdlog::warn("name has more addresses than peers_max upstream={} name={} not_used={}",
                     around_.upstream.name, around_.peer.text(), placed.left_over);
    if (changed || !told_.empty())
        spdlog::info("name is resolved upstream={} name={} addresses={} ttl_ms={} complete={}",
                     around_.upstream.name, around_.peer.text(), cell().addresses.get(), ttl,
                     !resolved.incomplete);
    told_.clear();
    retry_ms_ = resolved.incomplete ? std::clamp(retry_ms_ * 2, retry_first_ms, retry_last_ms) : 0;
    plan(now_ms, resolved.incomplete ? std::min(ttl, retry_ms_) : ttl);
}

/// Whoever gets a place begins without a past: checks and failures were those of another.
void NameWatch::store(const std::vector<ipc::NameAddress>& places) {
    auto& board = around_.board;
    for (std::size_t number = 0; number < board_places_.size(); ++number) {
        if (board_places_[number] == 0) continue;
        ipc::PeerCell& peer = board.peer_cell(board_places_[number]);
        const auto now = number < places.size() ? places[number] : ipc::NameAddress{};
        const auto before = number < places_.size() ? places_[number] : ipc::NameAddress{};
        if (!now.same_peer(before)) {
            peer.health.forget();
            peer.failures_in_row.store(0, std::memory_order_relaxed);
            peer.ejected_until_ms.store(0, std::memory_order_relaxed);
        }
        peer.address.set(now.text());
    }
    places_ = places;
    cell().write(places_);
    version_ = cell().version();
    on_change_();
}

void NameWatch::plan(std::uint64_t now_ms, std::uint64_t after_ms) {
    const std::uint64_t earlier = after_ms / 10 == 0 ? 0 : random_() % (after_ms / 10);
    cell().next_ms.set(now_ms + after_ms - earlier);
    timer_.arm(std::chrono::milliseconds(after_ms - earlier));
}

}  // namespace worker::upstream
