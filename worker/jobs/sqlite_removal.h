// worker/jobs/sqlite_removal.h: deletes jobs and what is remembered of them from SQLite, a bounded piece at a
// time.
#pragma once

#include "worker/jobs/operations.h"
#include "worker/jobs/sqlite_jobs.h"

namespace worker::jobs {

class SqliteRemoval {
 public:
    SqliteRemoval(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs);

    void apply(Purge& operation);
    void apply(Expire& operation, UnixMs now);

 private:
    /// The first of them, as many as one operation may; answers how many.
    std::size_t erase(const std::vector<std::int64_t>& found);

    SqliteConnection& connection_;
    SqliteQueues& queues_;
    SqliteJobs& jobs_;
    SqliteStatement oldest_, ended_, delete_idempotency_, delete_fired_;
};

}  // namespace worker::jobs
