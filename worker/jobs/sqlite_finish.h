// worker/jobs/sqlite_finish.h: what becomes of jobs in SQLite once they run: ends, wishes to cancel and to
// retry.
#pragma once

#include "worker/jobs/operations.h"
#include "worker/jobs/sqlite_jobs.h"

namespace worker::jobs {

class SqliteFinish {
 public:
    SqliteFinish(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs);

    void apply(Finish& operation, UnixMs now);
    void apply(Progress& operation);
    void apply(Cancel& operation, UnixMs now);
    void apply(Retry& operation, UnixMs now);
    void apply(Recover& operation, UnixMs now);
    /// Those that run with a fence of these were given to nobody: they are ready again.
    void give_back(std::int64_t first_fence, std::int64_t last_fence, UnixMs now);

 private:
    struct End;
    void end(SqliteJob& job, const End& end, UnixMs now);

    SqliteQueues& queues_;
    SqliteJobs& jobs_;
    SqliteStatement running_, with_fences_, last_ending_, insert_attempt_, forget_attempts_, set_result_;
};

}  // namespace worker::jobs
