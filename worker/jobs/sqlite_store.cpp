#include "worker/jobs/sqlite_store.h"

#include <sys/stat.h>

#include "worker/jobs/log_renewal.h"
#include "worker/jobs/sqlite_schema.h"

namespace worker::jobs {
namespace {

constexpr int page_bytes = 4096;
constexpr int tidy_pages = 256;          // in the log, before it is worth the syncs of a checkpoint
constexpr std::int64_t free_min = 4096;  // pages, before a file is made smaller

void clear_answers(std::span<Operation> batch) {
    for (auto& operation : batch) {
        std::visit(
            [](auto& one) {
                if constexpr (requires { one.answer; }) one.answer = {};
                if constexpr (requires { one.enqueue.answer; }) one.enqueue.answer = {};
            },
            operation);
    }
}

}  // namespace

SqliteStore::SqliteStore(std::string path, SqliteOptions options, StoreLock lock)
    : path_(std::move(path)), options_(options), lock_(std::move(lock)), disk_(options.watch) {}

ipc::Result<std::unique_ptr<Store>> SqliteStore::open(const std::string& path, SqliteOptions options) {
    auto lock = StoreLock::take(path, options.lock_wait);
    if (!lock) return tl::make_unexpected(lock.error());
    std::unique_ptr<SqliteStore> made(new SqliteStore(path, options, std::move(*lock)));
    if (auto opened = made->reopen(); !opened) return tl::make_unexpected(opened.error());
    made->proven_ = true;  // the first batch shows
    return made;
}

ipc::Result<void> SqliteStore::reopen() {
    if (session_) return {};
    auto connection = SqliteConnection::open(path_, disk_);
    if (!connection) return tl::make_unexpected(connection.error());
    if (auto prepared = prepare_schema(**connection, options_.wal_max); !prepared) return prepared;
    session_ = std::make_unique<SqliteSession>(std::move(*connection));
    if (!session_->connection().ok()) return tl::make_unexpected(give_up());
    return {};
}

ipc::Result<void> SqliteStore::prove(UnixMs now) {
    if (proven_) return {};
    // (SQLite has no lock on its log that closing it here would end)
    if (renew_log_) {
        if (auto renewed = renew_log(path_ + "-wal", options_.watch); !renewed) return renewed;
        renew_log_ = false;
    }
    // on a full disk there is room in the log, should what is in it fit into the file
    session_->connection().checkpoint(SQLITE_CHECKPOINT_PASSIVE);
    if (const auto outcome = session_->prove(unheard_, now, options_.timeout); !outcome.ok)
        return tl::make_unexpected(give_up());
    proven_ = true;
    unheard_ = {};
    return {};
}

ipc::Result<void> SqliteStore::apply(std::span<Operation> batch, UnixMs now) {
    if (batch.empty()) return {};
    const bool writes = !SqliteSession::only_reads(batch);
    if (auto opened = reopen(); !opened) return opened;
    if (writes) {
        if (auto proven = prove(now); !proven) return proven;
    }
    const auto outcome = session_->apply(batch, now, options_.timeout);
    if (!outcome.ok) {
        clear_answers(batch);
        if (outcome.may_be_committed) unheard_ = outcome.fences;
        return tl::make_unexpected(give_up());
    }
    if (!writes) return {};
    ++commits_;
    // half of what is allowed, as the batch after the next one may be large
    if (static_cast<std::uint64_t>(session_->connection().wal_pages()) * page_bytes > options_.wal_max / 2)
        checkpoint(SQLITE_CHECKPOINT_PASSIVE);
    return {};
}

ipc::Error SqliteStore::give_up() {
    const SqliteConnection& connection = session_->connection();
    ipc::Error error = connection.error();
    // after a failed sync the pages are still read as if they were on the disk
    if ((connection.code() & 0xff) == SQLITE_IOERR) renew_log_ = true;
    session_.reset();
    proven_ = false;
    return error;
}

void SqliteStore::checkpoint(int mode) {
    SqliteConnection& connection = session_->connection();
    connection.checkpoint(mode);
    if (!connection.ok()) give_up();  // what was committed is in the log
}

void SqliteStore::tidy() {
    if (!session_ || !proven_) return;
    SqliteConnection& connection = session_->connection();
    const bool idle = commits_ == std::exchange(commits_tidied_, commits_);
    const std::int64_t unused = connection.number("PRAGMA freelist_count");
    if (unused > free_min && unused > connection.number("PRAGMA page_count") / 4)
        connection.run("PRAGMA incremental_vacuum(1024)");
    if (idle && wal_bytes() > 0)
        checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
    else if (connection.wal_pages() >= tidy_pages)
        checkpoint(SQLITE_CHECKPOINT_PASSIVE);
}

StoreFigures SqliteStore::figures() {
    StoreFigures figures;
    figures.commits = commits_;
    figures.syncs = disk_.syncs();
    figures.wal_bytes = wal_bytes();
    return figures;
}

std::uint64_t SqliteStore::wal_bytes() const {
    struct stat about {};
    return ::stat((path_ + "-wal").c_str(), &about) < 0 ? 0 : static_cast<std::uint64_t>(about.st_size);
}

}  // namespace worker::jobs
