#include "worker/jobs/sqlite_connection.h"

#include <fmt/format.h>

#include "worker/jobs/sqlite_statement.h"

namespace worker::jobs {

ipc::Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::string& path,
                                                                      const SqliteDisk& disk) {
    sqlite3* db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(path.c_str(), &db, flags, disk.name());
    std::unique_ptr<SqliteConnection> made(new SqliteConnection(db, path));
    if (code != SQLITE_OK) {
        made->fail(code);
        return tl::make_unexpected(made->error());
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_progress_handler(
        db, 1000,
        [](void* self) {
            const auto& connection = *static_cast<SqliteConnection*>(self);
            return connection.deadline_ < std::chrono::steady_clock::now() ? 1 : 0;
        },
        made.get());
    // in the place of SQLite's own, which makes checkpoints by itself
    sqlite3_wal_hook(
        db,
        [](void* self, sqlite3*, const char*, int pages) {
            static_cast<SqliteConnection*>(self)->wal_pages_ = pages;
            return SQLITE_OK;
        },
        made.get());
    return made;
}

SqliteConnection::~SqliteConnection() {
    // after a failure nothing is copied into the file; who opens it next sees first what is there
    if (!ok()) sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_close_v2(db_);
}

void SqliteConnection::run(const char* sql) {
    if (!ok()) return;
    if (const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK) fail(code);
}

std::int64_t SqliteConnection::number(const char* sql) {
    SqliteStatement statement(*this, sql);
    auto use = statement.with();
    return use.row() ? use.integer(0) : 0;
}

ipc::Error SqliteConnection::error() const {
    return {fmt::format("{}: {} ({})", path_, message_, sqlite3_errstr(code_)), {}};
}

void SqliteConnection::fail(int code) {
    if (!ok()) return;
    code_ = code;
    message_ = db_ == nullptr ? "no memory" : sqlite3_errmsg(db_);
    if (const int number = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
        number != 0 && ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN))
        message_ += fmt::format(", {}", std::generic_category().message(number));
    if (code == SQLITE_INTERRUPT) message_ = "took too long";
}

void SqliteConnection::begin(bool write, std::chrono::milliseconds limit) {
    may_be_committed_ = false;
    deadline_ = std::chrono::steady_clock::now() + limit;
    run(write ? "BEGIN IMMEDIATE" : "BEGIN");
}

void SqliteConnection::check_time() {
    if (deadline_ < std::chrono::steady_clock::now()) fail(SQLITE_INTERRUPT);
}

bool SqliteConnection::commit() {
    if (ok()) {
        deadline_ = std::chrono::steady_clock::time_point::max();  // it is one wait for the disk
        run("COMMIT");
        may_be_committed_ = !ok();
    }
    if (ok()) return true;
    rollback();
    return false;
}

void SqliteConnection::rollback() {
    deadline_ = std::chrono::steady_clock::time_point::max();
    if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void SqliteConnection::checkpoint(int mode) {
    if (!ok()) return;
    int pages = 0, copied = 0;
    const int code = sqlite3_wal_checkpoint_v2(db_, nullptr, mode, &pages, &copied);
    if (code != SQLITE_OK) return fail(code);
    if (pages == copied) wal_pages_ = 0;
}

}  // namespace worker::jobs
