#include "worker/jobs/sqlite_schema.h"

#include <fmt/format.h>

#include <iterator>

namespace worker::jobs {
namespace {

constexpr std::int64_t application_id = 0x7265656a;  // "reej"

// Rows of `jobs` are small, as each change of state writes one: what is large or rare is beside them. An
// index has only the rows that it is for. The states are those of job.h, as numbers: 0 scheduled, 1 ready, 2
// running, 3 done, 4 dead, 5 cancelled.
constexpr const char* version_1 = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('fence', 0), ('probe', 0);

-- How many jobs a queue has in each state, written with each change.
CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    paused INTEGER NOT NULL DEFAULT 0,
    key_concurrency INTEGER NOT NULL DEFAULT 0,
    scheduled INTEGER NOT NULL DEFAULT 0,
    ready INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue INTEGER NOT NULL,
    state INTEGER NOT NULL,
    parked INTEGER NOT NULL DEFAULT 0, -- ready, and waits for one with the same key to end
    priority INTEGER NOT NULL,
    run_at INTEGER NOT NULL,
    created INTEGER NOT NULL,
    key TEXT,
    uniq TEXT,
    attempts_max INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, -- since it was made or retried
    runs INTEGER NOT NULL DEFAULT 0,     -- ever
    crashes INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,    -- of its last claim
    owner TEXT,
    lease INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0,
    started INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0,
    body_size INTEGER NOT NULL,
    callback TEXT
);
CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at) WHERE state = 1 AND parked = 0;
CREATE INDEX jobs_parked ON jobs (queue, key, priority DESC, run_at) WHERE state = 1 AND parked = 1;
CREATE INDEX jobs_due ON jobs (queue, run_at) WHERE state = 0;
CREATE INDEX jobs_running_key ON jobs (queue, key) WHERE state = 2 AND key IS NOT NULL;
CREATE UNIQUE INDEX jobs_unique ON jobs (queue, uniq) WHERE state <= 2 AND uniq IS NOT NULL;
CREATE INDEX jobs_state ON jobs (queue, state);
CREATE INDEX jobs_ended ON jobs (queue, state, ended) WHERE state >= 3;

-- Until the job is done.
CREATE TABLE payloads (
    seq INTEGER PRIMARY KEY,
    content_type TEXT NOT NULL,
    trace TEXT,
    idempotency_key TEXT,
    body BLOB NOT NULL
);
CREATE TABLE results (
    seq INTEGER PRIMARY KEY,
    content_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    cut INTEGER NOT NULL, -- it was longer
    body BLOB NOT NULL
);
CREATE TABLE notes (seq INTEGER PRIMARY KEY, progress TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '');
CREATE TABLE attempts (
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    ending INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (seq, number)
) WITHOUT ROWID;

CREATE TABLE idempotency (
    queue INTEGER NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    until INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_until ON idempotency (until);

CREATE TABLE fired (schedule TEXT NOT NULL, due INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (schedule, due))
    WITHOUT ROWID;
CREATE INDEX fired_due ON fired (due);
)";

// A job may be a request, and its result an answer. What of the latter is told with the job is beside the
// result, which may be large.
constexpr const char* version_2 = R"(
ALTER TABLE payloads ADD COLUMN request BLOB; -- see StoredRequest; NULL or empty: a plain POST
ALTER TABLE notes ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notes ADD COLUMN fields TEXT NOT NULL DEFAULT '';
)";

/// What leads from version N to N + 1 is at N; never changed once it was released.
constexpr const char* steps[] = {version_1, version_2};
static_assert(std::size(steps) == sqlite_schema_version);

}  // namespace

ipc::Result<void> prepare_schema(SqliteConnection& connection, std::uint64_t wal_max) {
    // the mode is said before the first access, then the log's index is in our memory and there is no other
    connection.run("PRAGMA locking_mode = EXCLUSIVE");
    const std::int64_t version = connection.number("PRAGMA user_version");
    const std::int64_t made_by = connection.number("PRAGMA application_id");
    const std::int64_t tables = connection.number("SELECT count(*) FROM sqlite_schema");
    if (!connection.ok()) return tl::make_unexpected(connection.error());

    const char* path = sqlite3_db_filename(connection.get(), nullptr);
    if (made_by != application_id && (made_by != 0 || version != 0 || tables != 0))
        return ipc::failure(fmt::format("{}: is a SQLite file of something else, not a store of jobs", path));
    if (version > sqlite_schema_version)
        return ipc::failure(
            fmt::format("{}: was written by a newer version of reeve (its tables have version {}, "
                        "this one knows them up to {})",
                        path, version, sqlite_schema_version));

    // of a new file; said of one that is there it would be written, also on a disk that is full
    if (tables == 0) connection.run("PRAGMA auto_vacuum = INCREMENTAL");
    connection.run("PRAGMA journal_mode = WAL");
    connection.run("PRAGMA synchronous = FULL");
    connection.run("PRAGMA temp_store = MEMORY");
    connection.run("PRAGMA mmap_size = 0");
    connection.run("PRAGMA cache_size = -32768");  // KiB
    connection.run(fmt::format("PRAGMA journal_size_limit = {}", wal_max).c_str());
    if (connection.ok() && version < sqlite_schema_version) {
        connection.begin(true, std::chrono::hours(1));  // however long it takes
        for (auto step = version; step < sqlite_schema_version; ++step)
            connection.run(steps[static_cast<std::size_t>(step)]);
        connection.run(fmt::format("PRAGMA application_id = {}", application_id).c_str());
        connection.run(fmt::format("PRAGMA user_version = {}", sqlite_schema_version).c_str());
        static_cast<void>(connection.commit());
    }
    if (!connection.ok()) return tl::make_unexpected(connection.error());
    return {};
}

}  // namespace worker::jobs
