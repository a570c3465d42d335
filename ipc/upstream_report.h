// ipc/upstream_report.h: what the scoreboard says of upstreams and peers, over all workers, for whoever shows
// it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipc/breaker.h"
#include "ipc/scoreboard.h"

namespace ipc {

struct PeerReport {
    std::string upstream, address;  ///< of a place: who stands in it now; empty: nobody
    std::string place;              ///< "app.example:8080#0": of a peer that is a name; else empty
    std::uint64_t active = 0, calls = 0, connections = 0;
    std::array<std::uint64_t, 6> statuses{};  ///< by hundreds; [0]: without a response
    std::array<std::uint64_t, call_failures> failures{};
    std::array<std::uint64_t, Histogram::buckets> latency{};  ///< as in Histogram, not cumulative
    std::uint64_t latency_us = 0;
    std::uint64_t ejections = 0;
    std::uint64_t ejected_ms = 0;  ///< for so long from now; 0: it is asked
    Health health = Health::unknown;
    std::string health_reason;  ///< why the last check failed that did; empty once the peer is up
    std::uint64_t checks_passed = 0, checks_failed = 0;
    std::uint64_t check_us = 0;                   ///< what the last check took
    std::optional<std::uint64_t> checked_ago_ms;  ///< none: not since it is configured to be
};

struct UpstreamReport {
    std::string name;
    BreakerStatus breaker;
    std::uint64_t failures = 0, slow = 0, refused = 0, probes = 0;
    std::uint64_t hedging = 0, hedges = 0, hedges_won = 0, hedges_refused = 0;
    bool limited = false;                            ///< `concurrency` is on
    std::uint64_t limit = 0, waiting = 0, shed = 0;  ///< calls that may wait for an answer, do, were refused
    std::uint64_t baseline_us = 0, latency_us = 0;   ///< 0: not known yet
    std::array<std::uint64_t, 3> entered{};          ///< transitions, by the BreakerState they led to
};

/// A peer that is a name.
struct NameReport {
    std::string upstream, name;
    std::uint64_t addresses = 0;
    std::uint64_t answers = 0, failures = 0;       ///< ever
    std::uint64_t ttl_ms = 0;                      ///< of the last answer
    std::optional<std::uint64_t> answered_ago_ms;  ///< none: never
    std::uint64_t next_ms = 0;                     ///< from now to the next try; 0: it is due
    std::string reason;                            ///< why the last try failed; empty: it did not
};

/// In the order in which they were first configured; those of earlier configurations too. Places of names
/// only if somebody stands in them, or ever did.
[[nodiscard]] std::vector<PeerReport> report_peers(const Scoreboard& board, std::uint64_t now_ms);
[[nodiscard]] std::vector<UpstreamReport> report_upstreams(const Scoreboard& board, std::uint64_t now_ms);
/// Likewise; only those that were ever asked for.
[[nodiscard]] std::vector<NameReport> report_names(const Scoreboard& board, std::uint64_t now_ms);

}  // namespace ipc
