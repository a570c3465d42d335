// worker/jobs/store.h: where jobs are kept; one interface, an engine each for SQLite and PostgreSQL.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ipc/result.h"
#include "worker/jobs/operations.h"

namespace worker::jobs {

/// How an error begins that names hosts and users: for the log and the operator, not for whoever asks by
/// HTTP.
inline constexpr std::string_view private_error = "database: ";

/// For metrics.
struct StoreFigures {
    std::uint64_t commits = 0, syncs = 0, wal_bytes = 0, dead_rows = 0;
    std::int64_t oldest_transaction_ms = 0;
};

/// Owned and called by one thread; calls block. Bounded in time by the engine.
class Store {
 public:
    virtual ~Store() = default;
    /// All of them in order, in one transaction, which is durable when this returns: then every answer is
    /// filled in. On failure none of them has happened, or (the connection broke while committing) nobody
    /// knows; whoever asked for a job is told that it is not known to be there, and may ask again with the
    /// same id. Jobs claimed by a batch that failed run nowhere: should they turn out to be claimed, the
    /// store gives them back by itself. A failure leaves the store able to be called again: it reopens what
    /// has to be reopened, and fails until that succeeds. A batch that only reads (Get, List, Stats,
    /// LastFired) costs no sync and works also while nothing can be written: better not mixed with others.
    virtual ipc::Result<void> apply(std::span<Operation> batch, UnixMs now) = 0;
    /// While nothing else is to be done: checkpoints, vacuum; a bounded piece of it.
    virtual void tidy() = 0;
    [[nodiscard]] virtual StoreFigures figures() = 0;
};

}  // namespace worker::jobs
