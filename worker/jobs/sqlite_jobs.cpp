#include "worker/jobs/sqlite_jobs.h"

#include <tuple>
#include <vector>

namespace worker::jobs {
namespace {

#define REEVE_JOB_COLUMNS                                                                                 \
    "seq, id, queue, state, parked, priority, run_at, created, key, uniq, attempts_max, attempts, runs, " \
    "crashes, fence, owner, lease, cancelling, started, ended, body_size, callback"

constexpr const char* by_id = "SELECT " REEVE_JOB_COLUMNS " FROM jobs WHERE id = ?1";
constexpr const char* by_seq = "SELECT " REEVE_JOB_COLUMNS " FROM jobs WHERE seq = ?1";
constexpr const char* by_unique =
    "SELECT " REEVE_JOB_COLUMNS
    " FROM jobs INDEXED BY jobs_unique WHERE queue = ?1 AND uniq = ?2 AND state <= 2";
#undef REEVE_JOB_COLUMNS

constexpr std::uint64_t attempt_bytes = 1024;  ///< of its error, at most

}  // namespace

SqliteJobs::SqliteJobs(SqliteConnection& connection, SqliteQueues& queues)
    : connection_(connection),
      queues_(queues),
      by_id_(connection, by_id),
      by_seq_(connection, by_seq),
      by_unique_(connection, by_unique),
      insert_(
          connection,
          "INSERT INTO jobs (id, queue, state, parked, priority, run_at, created, key, uniq, attempts_max, "
          "body_size, callback) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"),
      update_(connection,
              "UPDATE jobs SET state = ?2, parked = ?3, run_at = ?4, attempts = ?5, runs = ?6, crashes = ?7, "
              "fence = ?8, owner = ?9, lease = ?10, cancelling = ?11, started = ?12, ended = ?13 "
              "WHERE seq = ?1"),
      delete_job_(connection, "DELETE FROM jobs WHERE seq = ?1"),
      delete_payload_(connection, "DELETE FROM payloads WHERE seq = ?1"),
      delete_result_(connection, "DELETE FROM results WHERE seq = ?1"),
      delete_note_(connection, "DELETE FROM notes WHERE seq = ?1"),
      delete_attempts_(connection, "DELETE FROM attempts WHERE seq = ?1"),
      result_size_(connection, "SELECT size FROM results WHERE seq = ?1"),
      idempotency_of_(connection, "SELECT idempotency_key FROM payloads WHERE seq = ?1"),
      delete_idempotency_(connection, "DELETE FROM idempotency WHERE queue = ?1 AND key = ?2 AND id = ?3"),
      set_parked_(connection, "UPDATE jobs SET parked = ?2 WHERE seq = ?1"),
      first_parked_(connection,
                    "SELECT priority, run_at, seq FROM jobs INDEXED BY jobs_parked WHERE state = 1 AND "
                    "parked = 1 AND queue = ?1 AND key = ?2 ORDER BY priority DESC, run_at, seq LIMIT 1"),
      some_parked_(connection,
                   "SELECT seq FROM jobs INDEXED BY jobs_parked WHERE state = 1 AND parked = 1 AND "
                   "queue = ?1 LIMIT ?2"),
      running_with_(connection,
                    "SELECT count(*) FROM jobs INDEXED BY jobs_running_key WHERE state = 2 AND "
                    "key IS NOT NULL AND queue = ?1 AND key = ?2"),
      set_reason_(connection,
                  "INSERT INTO notes (seq, reason) VALUES (?1, ?2) "
                  "ON CONFLICT (seq) DO UPDATE SET reason = excluded.reason"),
      set_progress_(connection,
                    "INSERT INTO notes (seq, progress) VALUES (?1, ?2) "
                    "ON CONFLICT (seq) DO UPDATE SET progress = excluded.progress"),
      set_answer_(connection,
                  "INSERT INTO notes (seq, status, fields) VALUES (?1, ?2, ?3) "
                  "ON CONFLICT (seq) DO UPDATE SET status = excluded.status, fields = excluded.fields") {}

std::optional<SqliteJob> SqliteJobs::read(SqliteStatement::Use& use) {
    if (!use.row()) return {};
    SqliteJob job;
    job.seq = use.integer(0);
    job.id = use.text(1);
    job.queue = use.integer(2);
    job.state = use.as<State>(3);
    job.parked = use.integer(4) != 0;
    job.priority = use.as<std::int32_t>(5);
    job.run_at = use.integer(6);
    job.created = use.integer(7);
    job.key = use.text(8);
    job.unique = use.text(9);
    job.attempts_max = use.as<std::uint32_t>(10);
    job.attempts = use.as<std::uint32_t>(11);
    job.runs = use.as<std::uint32_t>(12);
    job.crashes = use.as<std::uint32_t>(13);
    job.fence = use.integer(14);
    job.owner = use.text(15);
    job.lease = use.integer(16);
    job.cancelling = use.integer(17) != 0;
    job.started = use.integer(18);
    job.ended = use.integer(19);
    job.body_size = use.integer(20);
    job.callback = use.text(21);
    return job;
}

std::optional<SqliteJob> SqliteJobs::find(std::string_view id) {
    auto use = by_id_.with(id);
    return read(use);
}

std::optional<SqliteJob> SqliteJobs::find(std::int64_t seq) {
    auto use = by_seq_.with(seq);
    return read(use);
}

std::optional<SqliteJob> SqliteJobs::find_unique(std::int64_t queue, std::string_view unique) {
    auto use = by_unique_.with(queue, unique);
    return read(use);
}

void SqliteJobs::insert(SqliteJob& job) {
    job.parked = behind_parked(job);
    insert_.run(job.id, job.queue, job.state, job.parked, job.priority, job.run_at, job.created,
                SqliteOptional{job.key}, SqliteOptional{job.unique}, job.attempts_max, job.body_size,
                SqliteOptional{job.callback});
    job.seq = connection_.last_row();  // (RETURNING would make a table for it)
    SqliteQueue& queue = queues_.at(job.queue);
    ++queue.count(job.state);
    if (!job.over()) queue.bytes += job.body_size;
    queue.changed = true;
}

void SqliteJobs::change(const SqliteJob& before, SqliteJob& job) {
    job.parked = behind_parked(job);
    update_.run(job.seq, job.state, job.parked, job.run_at, job.attempts, job.runs, job.crashes, job.fence,
                SqliteOptional{job.owner}, job.lease, job.cancelling, job.started, job.ended);
    SqliteQueue& queue = queues_.at(job.queue);
    --queue.count(before.state);
    ++queue.count(job.state);
    queue.bytes += (job.over() ? 0 : job.body_size) - (before.over() ? 0 : before.body_size);
    queue.changed = true;
    if (before.holds_key() && !job.holds_key()) give_key(job.queue, job.key);
}

std::uint64_t SqliteJobs::erase(const SqliteJob& job) {
    std::uint64_t bytes = 0;
    if (job.state != State::done) bytes += static_cast<std::uint64_t>(job.body_size);
    if (job.state == State::done) {
        auto use = result_size_.with(job.seq);
        if (use.row()) bytes += use.as<std::uint64_t>(0);
    }
    if (!job.over()) {
        std::string key;
        {
            auto use = idempotency_of_.with(job.seq);
            if (use.row()) key = use.text(0);
        }
        if (!key.empty()) delete_idempotency_.run(job.queue, key, job.id);
    }
    delete_job_.run(job.seq);
    delete_payload_.run(job.seq);
    delete_result_.run(job.seq);
    delete_note_.run(job.seq);
    delete_attempts_.run(job.seq);
    bytes += attempt_bytes * static_cast<std::uint64_t>(sqlite3_changes(connection_.get()));
    SqliteQueue& queue = queues_.at(job.queue);
    --queue.count(job.state);
    if (!job.over()) queue.bytes -= job.body_size;
    queue.changed = true;
    if (job.holds_key()) give_key(job.queue, job.key);
    return bytes;
}

/// Whether a ready job with the same key is parked that comes before this one.
bool SqliteJobs::behind_parked(const SqliteJob& job) {
    if (job.state != State::ready || job.key.empty()) return false;
    auto use = first_parked_.with(job.queue, job.key);
    if (!use.row()) return false;
    const auto seq = job.seq == 0 ? INT64_MAX : job.seq;
    return std::make_tuple(-use.integer(0), use.integer(1), use.integer(2)) <
           std::make_tuple(-std::int64_t{job.priority}, job.run_at, seq);
}

/// To the first parked one with that key, if there is any.
void SqliteJobs::give_key(std::int64_t queue, std::string_view key) {
    std::int64_t seq = 0;
    {
        auto use = first_parked_.with(queue, key);
        if (use.row()) seq = use.integer(2);
    }
    if (seq != 0) set_parked_.run(seq, 0);
}

bool SqliteJobs::unpark_some(std::int64_t queue, std::uint32_t limit) {
    std::vector<std::int64_t> found;
    {
        auto use = some_parked_.with(queue, limit);
        while (use.row()) found.push_back(use.integer(0));
    }
    for (const auto seq : found) set_parked_.run(seq, 0);
    return found.size() < limit;
}

std::int64_t SqliteJobs::running_with(std::int64_t queue, std::string_view key) {
    auto use = running_with_.with(queue, key);
    return use.row() ? use.integer(0) : 0;
}

}  // namespace worker::jobs
