// worker/jobs/sqlite_claim.h: gives jobs out of SQLite to whoever runs them.
#pragma once

#include <map>
#include <string>

#include "worker/jobs/operations.h"
#include "worker/jobs/sqlite_jobs.h"

namespace worker::jobs {

/// The work of one claim is bounded, whatever the queue looks like.
class SqliteClaims {
 public:
    SqliteClaims(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs);

    void apply(Claim& operation, UnixMs now);
    void apply(Extend& operation);

    /// The fences given out since the last call, none if the second is less.
    struct Fences {
        std::int64_t first = 1, last = 0;
    };
    Fences take_fences();

 private:
    /// Answers whether more are due.
    bool promote(const SqliteQueue& queue, UnixMs now, std::uint32_t limit);
    /// Answers whether all of them are.
    bool adjust_key_bound(SqliteQueue& queue, std::uint32_t bound);
    void give(Claim& operation, SqliteJob& job, UnixMs now);
    [[nodiscard]] bool has_place(std::map<std::string, std::int64_t>& running, const Claim& operation,
                                 const SqliteJob& job);
    [[nodiscard]] std::int64_t next_fence();

    SqliteQueues& queues_;
    SqliteJobs& jobs_;
    std::int64_t fence_ = 0, fences_reserved_ = 0;  ///< the last one given out, the last one that may be
    Fences given_;
    SqliteStatement due_, next_due_, ready_, payload_, read_fence_, write_fence_, extend_;
};

}  // namespace worker::jobs
