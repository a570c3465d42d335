// worker/jobs/sqlite_store.h: jobs in a SQLite file that one process owns.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "worker/jobs/sqlite_session.h"
#include "worker/jobs/store.h"
#include "worker/jobs/store_lock.h"

namespace worker::jobs {

struct SqliteOptions {
    std::uint64_t wal_max = 64ULL << 20;      ///< bytes that the log may have, but for what one batch adds
    std::chrono::milliseconds timeout{5000};  ///< of a batch, but for its sync
    std::chrono::milliseconds lock_wait{0};   ///< for another process to let go of the file
    DiskWatch* watch = nullptr;               ///< for tests; outlives the store
};

/// One connection alone writes and copies the log into the file, in exclusive mode: nobody else can open it,
/// so no reader ever keeps the log from beginning anew, and races between connections do not exist.
class SqliteStore final : public Store {
 public:
    /// Makes what is not there; see StoreLock and prepare_schema for what is refused.
    static ipc::Result<std::unique_ptr<Store>> open(const std::string& path, SqliteOptions options);

    ipc::Result<void> apply(std::span<Operation> batch, UnixMs now) override;
    void tidy() override;
    [[nodiscard]] StoreFigures figures() override;

 private:
    SqliteStore(std::string path, SqliteOptions options, StoreLock lock);

    ipc::Result<void> reopen();
    /// Shows that a transaction can be written, if that is not known since the last failure.
    ipc::Result<void> prove(UnixMs now);
    /// Ends the session, which has failed.
    ipc::Error give_up();
    void checkpoint(int mode);
    [[nodiscard]] std::uint64_t wal_bytes() const;

    std::string path_;
    SqliteOptions options_;
    StoreLock lock_;
    SqliteDisk disk_;
    std::unique_ptr<SqliteSession> session_;
    bool proven_ = false;
    bool renew_log_ = false;        ///< what is in the log may not be on the disk, though it can be read
    SqliteClaims::Fences unheard_;  ///< given out by a batch of which nobody knows whether it was committed
    std::uint64_t commits_ = 0, commits_tidied_ = 0;
};

}  // namespace worker::jobs
