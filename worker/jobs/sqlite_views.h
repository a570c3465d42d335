// worker/jobs/sqlite_views.h: shows what is in SQLite; changes nothing.
#pragma once

#include "worker/jobs/operations.h"
#include "worker/jobs/sqlite_jobs.h"

namespace worker::jobs {

class SqliteViews {
 public:
    SqliteViews(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs);

    void apply(Get& operation);
    void apply(List& operation);
    void apply(Stats& operation);

 private:
    [[nodiscard]] View view(SqliteJob&& job);
    [[nodiscard]] UnixMs oldest_ready(std::int64_t queue);

    SqliteQueues& queues_;
    SqliteJobs& jobs_;
    SqliteStatement note_, history_, result_, result_size_, answer_, newest_, newest_of_state_,
        next_priority_, next_due_;
};

}  // namespace worker::jobs
