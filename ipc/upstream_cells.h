// ipc/upstream_cells.h: what all workers know of the peers they ask, in shared memory.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ipc/breaker.h"
#include "ipc/concurrency.h"
#include "ipc/counter.h"
#include "ipc/health.h"
#include "ipc/histogram.h"
#include "ipc/name_cell.h"
#include "ipc/shared_text.h"

namespace ipc {

constexpr std::size_t upstreams_max = 64;  ///< distinct names of upstreams that are known apart
constexpr std::size_t names_max = 256;     ///< likewise pairs of upstream and name of DNS
constexpr std::size_t peers_max = 512;     ///< distinct pairs of upstream and address that are known apart

/// Why a call to a peer brought no response, or no whole one.
enum class CallFailure : std::uint8_t {
    connect,          ///< refused, unreachable
    connect_timeout,  ///< nobody took the connection in time
    send_timeout,     ///< the peer took none of the request
    read_timeout,     ///< no byte of the response in time
    reset,            ///< the connection ended before the response did
    malformed,        ///< what came is no response
    status,           ///< one after which another peer is asked
};
constexpr std::size_t call_failures = 7;
[[nodiscard]] std::string_view name(CallFailure failure);

/// What one worker does with one peer. Its loop alone writes.
struct alignas(64) PeerUse {
    Counter active;                               ///< calls under way
    Counter calls;                                ///< ever, retries too
    std::array<Counter, 6> statuses;              ///< by hundreds; [0] those without a response
    std::array<Counter, call_failures> failures;  ///< by CallFailure
    Counter connections;                          ///< opened, ever
    Histogram latency;                            ///< from asking to the last byte
};

/// What one worker does with one upstream, apart from its peers. Its loop alone writes.
struct alignas(64) UpstreamUse {
    Counter hedging;         ///< calls under way that are with two peers
    Counter hedges;          ///< second copies sent, ever
    Counter hedges_won;      ///< those whose answer was first
    Counter hedges_refused;  ///< those that neither budget nor `hedge_max` had room for
    Counter waiting;         ///< calls without an answer yet; only where `concurrency` limits them
    Counter shed;            ///< requests refused by that limit, ever
};

/// One peer of one upstream: outlives workers and reloads. Any worker writes, rarely.
struct alignas(64) PeerCell {
    SharedText<128> name;                            ///< "upstream/127.0.0.1:9000"
    std::atomic<std::uint64_t> failures_in_row{0};   ///< over all workers
    std::atomic<std::uint64_t> ejected_until_ms{0};  ///< CLOCK_MONOTONIC; past or 0: it is asked
    Counter ejections;                               ///< ever; `add_shared`
    HealthCell health;                               ///< what the checks say
    Counter is_place;                                ///< 1: of a name; `address` stands in it now
    SharedText<64> address;                          ///< empty: nobody does
};

/// One upstream: outlives workers and reloads. Any worker writes.
struct alignas(64) UpstreamCell {
    SharedText<64> name;
    BreakerCell breaker;
    ConcurrencyCell concurrency;
};

}  // namespace ipc
