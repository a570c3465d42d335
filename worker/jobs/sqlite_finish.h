// worker/jobs/sqlite_finish.h: what becomes of jobs in SQLite once they run: ends, wishes to cancel and to
// retry.
#pragma once

#include "worker/jobs/job_ids.h"
#include "worker/jobs/operations.h"
#include "worker/jobs/sqlite_enqueue.h"
#include "worker/jobs/sqlite_jobs.h"
#include "worker/jobs/sqlite_views.h"

namespace worker::jobs {

class SqliteFinish {
 public:
    /// `enqueue` and `views`: for telling of ends. All must outlive it.
    SqliteFinish(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs, SqliteEnqueue& enqueue,
                 SqliteViews& views);

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
    void tell(const SqliteJob& job, UnixMs now);

    SqliteQueues& queues_;
    SqliteJobs& jobs_;
    SqliteEnqueue& enqueue_;
    SqliteViews& views_;
    JobIds ids_;
    SqliteStatement running_, with_fences_, last_ending_, insert_attempt_, forget_attempts_, set_result_;
};

}  // namespace worker::jobs
