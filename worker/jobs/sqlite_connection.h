// worker/jobs/sqlite_connection.h: owns a connection to a SQLite file, and remembers its first failure.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "ipc/result.h"
#include "worker/jobs/sqlite_disk.h"

namespace worker::jobs {

/// The first failure sticks: from then on every statement does nothing and has no rows, until the transaction
/// is over. So whoever uses statements need not look at each; whoever ends the transaction does. One thread.
class SqliteConnection {
 public:
    /// Opens, or creates, the file in exclusive mode: nobody else can, not even to read.
    static ipc::Result<std::unique_ptr<SqliteConnection>> open(const std::string& path,
                                                               const SqliteDisk& disk);
    SqliteConnection(const SqliteConnection&) = delete;
    SqliteConnection& operator=(const SqliteConnection&) = delete;
    ~SqliteConnection();

    /// Statements without results.
    void run(const char* sql);
    /// The number in the first column of the first row; 0 where there is none.
    [[nodiscard]] std::int64_t number(const char* sql);

    /// The key of the last row inserted.
    [[nodiscard]] std::int64_t last_row() const noexcept { return sqlite3_last_insert_rowid(db_); }

    [[nodiscard]] bool ok() const noexcept { return code_ == SQLITE_OK; }
    [[nodiscard]] int code() const noexcept { return code_; }
    /// What failed, with the path and SQLite's words.
    [[nodiscard]] ipc::Error error() const;
    /// Takes note of a failure; the first one counts.
    void fail(int code);

    /// `write`: takes the lock at once. Statements fail that are not through after `limit`.
    void begin(bool write, std::chrono::milliseconds limit);
    /// Fails if the transaction takes longer than that.
    void check_time();
    /// False: it failed, or something in it had; then nothing of it has happened, unless `may_be_committed`.
    [[nodiscard]] bool commit();
    void rollback();
    [[nodiscard]] bool may_be_committed() const noexcept { return may_be_committed_; }

    /// Pages in the log when the last transaction was over.
    [[nodiscard]] int wal_pages() const noexcept { return wal_pages_; }
    /// Copies the log into the file, as SQLITE_CHECKPOINT_…; the log begins anew with the next transaction.
    void checkpoint(int mode);
    [[nodiscard]] sqlite3* get() const noexcept { return db_; }

 private:
    SqliteConnection(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}

    sqlite3* db_;
    std::string path_, message_;
    int code_ = SQLITE_OK;
    int wal_pages_ = 0;
    bool may_be_committed_ = false;
    std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace worker::jobs
