#include "worker/jobs/postgres_schema.h"

#include <fmt/format.h>

#include <iterator>
#include <string>

namespace worker::jobs {
namespace {

// What comes from outside is bytea: any bytes, compared as bytes. The states are those of job.h, as numbers:
// 0 scheduled, 1 ready, 2 running, 3 done, 4 dead, 5 cancelled. Each change of a state writes a new version
// of its row: rows of `jobs` are small, what is large or rare is beside them, pages have room for new
// versions, and autovacuum comes by number of dead rows, however large the table is.
constexpr const char* tables_1 = R"(
CREATE SEQUENCE reeve.fence;

CREATE TABLE reeve.queues (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name bytea NOT NULL UNIQUE,
    paused boolean NOT NULL DEFAULT false,
    key_concurrency integer NOT NULL DEFAULT 0
);

-- How many jobs a queue has in each state, and bytes of bodies that are not over: the sum of all parts. A
-- connection has a part of its own, so that none waits for another.
CREATE TABLE reeve.counts (
    queue integer NOT NULL,
    part integer NOT NULL,
    scheduled bigint NOT NULL DEFAULT 0,
    ready bigint NOT NULL DEFAULT 0,
    running bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    dead bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (queue, part)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE reeve.jobs (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    queue integer NOT NULL,
    state smallint NOT NULL,
    parked boolean NOT NULL DEFAULT false, -- ready, and waits for one with the same key to end
    priority integer NOT NULL,
    run_at bigint NOT NULL,
    created bigint NOT NULL,
    key bytea,
    uniq bytea,
    attempts_max bigint NOT NULL,
    attempts bigint NOT NULL DEFAULT 0, -- since it was made or retried
    runs bigint NOT NULL DEFAULT 0,     -- ever
    crashes bigint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,    -- of its last claim
    owner bytea,
    batch bigint NOT NULL DEFAULT 0,    -- that claimed it
    cancelling boolean NOT NULL DEFAULT false,
    started bigint NOT NULL DEFAULT 0,
    ended bigint NOT NULL DEFAULT 0,
    body_size bigint NOT NULL,
    callback bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX jobs_ready ON reeve.jobs (queue, priority DESC, run_at, seq) WHERE state = 1 AND NOT parked;
CREATE INDEX jobs_parked ON reeve.jobs (queue, key, priority DESC, run_at, seq) WHERE state = 1 AND parked;
CREATE INDEX jobs_due ON reeve.jobs (queue, run_at, seq) WHERE state = 0;
CREATE INDEX jobs_running ON reeve.jobs (owner) WHERE state = 2;
CREATE INDEX jobs_running_key ON reeve.jobs (queue, key) WHERE state = 2 AND key IS NOT NULL;
CREATE UNIQUE INDEX jobs_unique ON reeve.jobs (queue, uniq) WHERE state <= 2 AND uniq IS NOT NULL;
CREATE INDEX jobs_state ON reeve.jobs (queue, state, seq);
CREATE INDEX jobs_ended ON reeve.jobs (queue, state, ended) WHERE state >= 3;

-- Who runs jobs, and until when nobody takes them away, by the clock of the database.
CREATE TABLE reeve.owners (owner bytea PRIMARY KEY, lease bigint NOT NULL) WITH (fillfactor = 50);

-- Until the job is done.
CREATE TABLE reeve.payloads (
    seq bigint PRIMARY KEY,
    content_type bytea NOT NULL,
    trace bytea,
    idempotency_key bytea,
    body bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000);
CREATE TABLE reeve.results (
    seq bigint PRIMARY KEY,
    content_type bytea NOT NULL,
    size bigint NOT NULL,
    cut boolean NOT NULL, -- it was longer
    body bytea NOT NULL
);
CREATE TABLE reeve.notes (seq bigint PRIMARY KEY, progress bytea NOT NULL DEFAULT '', reason bytea NOT NULL DEFAULT '');
CREATE TABLE reeve.attempts (
    seq bigint NOT NULL,
    number bigint NOT NULL,
    started bigint NOT NULL,
    ended bigint NOT NULL,
    ending smallint NOT NULL,
    fence bigint NOT NULL,
    error bytea NOT NULL,
    PRIMARY KEY (seq, number)
);

CREATE TABLE reeve.idempotency (
    queue integer NOT NULL,
    key bytea NOT NULL,
    fingerprint bytea NOT NULL,
    until bigint NOT NULL,
    id bytea NOT NULL,
    PRIMARY KEY (queue, key)
);
CREATE INDEX idempotency_until ON reeve.idempotency (until);

CREATE TABLE reeve.fired (schedule bytea NOT NULL, due bigint NOT NULL, id bytea NOT NULL, PRIMARY KEY (schedule, due));
CREATE INDEX fired_due ON reeve.fired (due);

-- For people.
CREATE VIEW reeve.overview AS
    SELECT encode(j.id, 'escape') AS id, encode(q.name, 'escape') AS queue,
           (ARRAY['scheduled', 'ready', 'running', 'done', 'dead', 'cancelled'])[j.state + 1] AS state,
           j.attempts, j.crashes, j.priority, encode(j.key, 'escape') AS key, to_timestamp(j.created / 1000.0) AS created,
           to_timestamp(j.run_at / 1000.0) AS run_at, encode(j.owner, 'escape') AS owner,
           encode(n.reason, 'escape') AS reason
    FROM reeve.jobs j JOIN reeve.queues q ON q.id = j.queue LEFT JOIN reeve.notes n USING (seq);
)";

// A job may be a request, and its result an answer.
constexpr const char* tables_2 = R"(
ALTER TABLE reeve.payloads ADD COLUMN request bytea; -- see StoredRequest; NULL: a plain POST
ALTER TABLE reeve.results ADD COLUMN status integer NOT NULL DEFAULT 0; -- 0: it is none
ALTER TABLE reeve.results ADD COLUMN fields bytea NOT NULL DEFAULT ''; -- lines
)";

/// What leads from version N to N + 1 is at N; never changed once it was released.
constexpr const char* postgres_steps[] = {tables_1, tables_2};
static_assert(std::size(postgres_steps) == postgres_schema_version);

constexpr int server_least = 14;  ///< the major version

constexpr const char* what_is_there = R"(
SELECT to_regnamespace('reeve') IS NOT NULL,
       to_regclass('reeve.meta') IS NOT NULL,
       EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('reeve'))
)";

/// Holds for the transaction.
constexpr const char* lock_schema = "SELECT pg_advisory_xact_lock(1919247722, 0)";  // "reej"

ipc::Result<void> upgrade(PostgresConnection& connection) {
    if (auto locked = connection.run(lock_schema); !locked) return tl::make_unexpected(locked.error());
    auto there = connection.run(what_is_there);
    if (!there) return tl::make_unexpected(there.error());
    const bool schema = there->flag(0, 0), meta = there->flag(0, 1), other = there->flag(0, 2);
    if (!meta && other)
        return ipc::failure("the schema \"reeve\" of the database is of something else, not a store of jobs");
    std::int64_t version = 0;
    if (meta) {
        auto read = connection.run("SELECT version FROM reeve.meta");
        if (!read) return tl::make_unexpected(read.error());
        version = read->rows() == 0 ? 0 : read->number(0, 0);
    }
    if (version > postgres_schema_version)
        return ipc::failure(
            fmt::format("the tables of jobs were made by a newer version of reeve (they have version {}, "
                        "this one knows them up to {})",
                        version, postgres_schema_version));
    if (version == postgres_schema_version) return {};

    std::string script;
    if (!schema) script += "CREATE SCHEMA reeve;\n";
    if (!meta)
        script += "CREATE TABLE reeve.meta (version bigint NOT NULL);\nINSERT INTO reeve.meta VALUES (0);\n";
    for (auto step = version; step < postgres_schema_version; ++step)
        script += postgres_steps[static_cast<std::size_t>(step)];
    script += fmt::format("UPDATE reeve.meta SET version = {};\n", postgres_schema_version);
    return connection.run_script(script);
}

}  // namespace

ipc::Result<void> prepare_postgres_schema(PostgresConnection& connection, std::chrono::milliseconds limit) {
    connection.limit(limit);
    if (const int version = PQserverVersion(connection.get()); version < server_least * 10'000)
        return ipc::failure(fmt::format("the database is PostgreSQL {}, and {} or newer is wanted",
                                        version / 10'000, server_least));
    // most often all is there, and nobody needs to wait for anybody
    auto there = connection.run(what_is_there);
    if (!there) return tl::make_unexpected(there.error());
    if (there->flag(0, 1)) {
        auto version = connection.run("SELECT version FROM reeve.meta");
        if (!version) return tl::make_unexpected(version.error());
        if (version->rows() == 1 && version->number(0, 0) == postgres_schema_version) return {};
    }
    if (auto begun = connection.run_script("BEGIN"); !begun) return begun;
    if (auto upgraded = upgrade(connection); !upgraded) return upgraded;
    return connection.run_script("COMMIT");
}

}  // namespace worker::jobs
