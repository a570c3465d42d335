// worker/jobs/sqlite_enqueue.h: takes jobs into SQLite, each once.
#pragma once

#include "worker/jobs/operations.h"
#include "worker/jobs/sqlite_jobs.h"

namespace worker::jobs {

class SqliteEnqueue {
 public:
    SqliteEnqueue(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs);

    void apply(Enqueue& operation, UnixMs now);
    void apply(Fire& operation, UnixMs now);
    void apply(LastFired& operation);

 private:
    /// Fills in the answer if the job, or what stands for it, is there already.
    [[nodiscard]] bool known(Enqueue& operation, UnixMs now);
    void existing(Enqueue::Answer& answer, const SqliteJob& job);

    SqliteQueues& queues_;
    SqliteJobs& jobs_;
    SqliteStatement idempotency_, set_idempotency_, insert_payload_, fired_, insert_fired_, last_fired_;
};

}  // namespace worker::jobs
