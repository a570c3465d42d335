// worker/jobs/sqlite_session.h: everything that lives as long as one connection to SQLite.
#pragma once

#include <memory>
#include <span>

#include "worker/jobs/sqlite_claim.h"
#include "worker/jobs/sqlite_connection.h"
#include "worker/jobs/sqlite_enqueue.h"
#include "worker/jobs/sqlite_finish.h"
#include "worker/jobs/sqlite_queues.h"
#include "worker/jobs/sqlite_removal.h"
#include "worker/jobs/sqlite_views.h"

namespace worker::jobs {

/// After a failure it is of no more use, but to say what failed.
class SqliteSession {
 public:
    /// `connection` has the tables of this version.
    explicit SqliteSession(std::unique_ptr<SqliteConnection> connection);

    /// Of one transaction.
    struct Outcome {
        bool ok = false;
        bool may_be_committed = false;  ///< though it is not ok
        SqliteClaims::Fences fences;    ///< given out in it
    };
    [[nodiscard]] Outcome apply(std::span<Operation> batch, UnixMs now, std::chrono::milliseconds limit);
    /// Writes something, and gives back what was claimed with these fences, which nobody has heard of.
    [[nodiscard]] Outcome prove(SqliteClaims::Fences fences, UnixMs now, std::chrono::milliseconds limit);

    [[nodiscard]] static bool only_reads(std::span<const Operation> batch);
    [[nodiscard]] SqliteConnection& connection() { return *connection_; }

 private:
    void apply(Operation& operation, UnixMs now);
    [[nodiscard]] Outcome end();

    std::unique_ptr<SqliteConnection> connection_;
    SqliteQueues queues_;
    SqliteJobs jobs_;
    SqliteEnqueue enqueue_;
    SqliteClaims claims_;
    SqliteViews views_;
    SqliteFinish finish_;
    SqliteRemoval removal_;
};

}  // namespace worker::jobs
