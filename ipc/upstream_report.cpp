#include "ipc/upstream_report.h"

#include <utility>

namespace ipc {

std::vector<PeerReport> report_peers(const Scoreboard& board, std::uint64_t now_ms) {
    std::vector<PeerReport> all;
    for (std::uint32_t index = 1; index < board.peers_used(); ++index) {
        const PeerCell& cell = board.peer_cell(index);
        PeerReport peer;
        const std::string name = cell.name.get();
        const auto slash = name.find('/');  // the name of a section has none
        peer.upstream = name.substr(0, slash);
        peer.address = slash == std::string::npos ? std::string() : name.substr(slash + 1);
        if (cell.is_place.get() != 0) peer.place = std::exchange(peer.address, cell.address.get());
        peer.ejections = cell.ejections.get();
        const std::uint64_t until = cell.ejected_until_ms.load(std::memory_order_relaxed);
        peer.ejected_ms = until > now_ms ? until - now_ms : 0;
        peer.health = cell.health.state();
        peer.health_reason = cell.health.reason();
        peer.checks_passed = cell.health.checks_passed();
        peer.checks_failed = cell.health.checks_failed();
        peer.check_us = cell.health.latency_us();
        if (const std::uint64_t at = cell.health.checked_ms(); at != 0)
            peer.checked_ago_ms = now_ms > at ? now_ms - at : 0;
        for (std::uint32_t row = 0; row < board.rows_used(); ++row) {
            const PeerUse& use = board.row(row).peers[index];
            peer.active += use.active.get();
            peer.calls += use.calls.get();
            peer.connections += use.connections.get();
            for (std::size_t i = 0; i < peer.statuses.size(); ++i) peer.statuses[i] += use.statuses[i].get();
            for (std::size_t i = 0; i < peer.failures.size(); ++i) peer.failures[i] += use.failures[i].get();
            for (std::size_t i = 0; i < peer.latency.size(); ++i) peer.latency[i] += use.latency.count(i);
            peer.latency_us += use.latency.sum_us();
        }
        if (peer.place.empty() || !peer.address.empty() || peer.calls != 0) all.push_back(std::move(peer));
    }
    return all;
}

std::vector<UpstreamReport> report_upstreams(const Scoreboard& board, std::uint64_t now_ms) {
    std::vector<UpstreamReport> all;
    for (std::uint32_t index = 1; index < board.upstreams_used(); ++index) {
        const UpstreamCell& cell = board.upstream_cell(index);
        UpstreamReport& upstream = all.emplace_back();
        upstream.name = cell.name.get();
        upstream.breaker = cell.breaker.status(now_ms);
        const BreakerCounts& counts = cell.breaker.counts();
        upstream.failures = counts.failures.get();
        upstream.slow = counts.slow.get();
        upstream.refused = counts.refused.get();
        upstream.probes = counts.probes.get();
        for (std::size_t i = 0; i < upstream.entered.size(); ++i)
            upstream.entered[i] = counts.entered[i].get();
        upstream.limited = cell.concurrency.used();
        upstream.limit = cell.concurrency.limit();
        upstream.baseline_us = cell.concurrency.baseline_us();
        upstream.latency_us = cell.concurrency.latency_us();
        for (std::uint32_t row = 0; row < board.rows_used(); ++row) {
            const UpstreamUse& use = board.row(row).upstreams[index];
            upstream.hedging += use.hedging.get();
            upstream.hedges += use.hedges.get();
            upstream.hedges_won += use.hedges_won.get();
            upstream.hedges_refused += use.hedges_refused.get();
            upstream.waiting += use.waiting.get();
            upstream.shed += use.shed.get();
        }
    }
    return all;
}

std::vector<NameReport> report_names(const Scoreboard& board, std::uint64_t now_ms) {
    std::vector<NameReport> all;
    for (std::uint32_t index = 1; index < board.names_used(); ++index) {
        const NameCell& cell = board.name_cell(index);
        NameReport one;
        one.answers = cell.answers.get();
        one.failures = cell.failures.get();
        if (one.answers + one.failures == 0) continue;
        const std::string name = cell.name.get();
        const auto slash = name.find('/');
        one.upstream = name.substr(0, slash);
        one.name = slash == std::string::npos ? std::string() : name.substr(slash + 1);
        one.addresses = cell.addresses.get();
        one.ttl_ms = cell.ttl_ms.get();
        if (const auto at = cell.answered_ms.get(); at != 0)
            one.answered_ago_ms = now_ms > at ? now_ms - at : 0;
        const auto next = cell.next_ms.get();
        one.next_ms = next > now_ms ? next - now_ms : 0;
        one.reason = cell.reason.get();
        all.push_back(std::move(one));
    }
    return all;
}

}  // namespace ipc
