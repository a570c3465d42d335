// worker/jobs/sqlite_jobs.h: the rows of jobs in SQLite, and what goes with each change of a state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/jobs/job.h"
#include "worker/jobs/sqlite_queues.h"
#include "worker/jobs/sqlite_statement.h"

namespace worker::jobs {

struct SqliteJob {
    std::int64_t seq = 0, queue = 0;
    std::string id, key, unique;
    State state = State::ready;
    bool parked = false;
    std::int32_t priority = 0;
    UnixMs run_at = 0, created = 0, started = 0, ended = 0, lease = 0;
    std::uint32_t attempts_max = 0, attempts = 0, runs = 0, crashes = 0;
    std::int64_t fence = 0;
    std::string owner;
    bool cancelling = false;
    std::int64_t body_size = 0;
    std::string callback;

    [[nodiscard]] bool over() const noexcept { return state >= State::done; }
    /// Counts for its key: it runs, or it is among those that the next claim looks at.
    [[nodiscard]] bool holds_key() const noexcept {
        return !key.empty() && (state == State::running || (state == State::ready && !parked));
    }
};

/// Ready jobs whose key has no place free are parked once a claim has met them, so that the next claim does
/// not meet them again, however many there are. As long as any job with a key is parked, at least one with
/// that key runs or is ready and not parked: whenever one stops doing so, the first parked one takes its
/// place.
class SqliteJobs {
 public:
    SqliteJobs(SqliteConnection& connection, SqliteQueues& queues);

    [[nodiscard]] std::optional<SqliteJob> find(std::string_view id);
    [[nodiscard]] std::optional<SqliteJob> find(std::int64_t seq);
    /// The one that is not over and has it.
    [[nodiscard]] std::optional<SqliteJob> find_unique(std::int64_t queue, std::string_view unique);

    /// Sets its seq; ready ones are parked where those before it are.
    void insert(SqliteJob& job);
    /// Writes `job` as it is now; it was `before`. Ready ones are parked where those before it are.
    void change(const SqliteJob& before, SqliteJob& job);
    /// With all that belongs to it. What its idempotency key says stays for its time if the job was over;
    /// else the key is free again. Answers how many bytes of body, result and history that was, about.
    std::uint64_t erase(const SqliteJob& job);
    /// Makes up to `limit` parked ones of the queue ready again; false: there are more.
    bool unpark_some(std::int64_t queue, std::uint32_t limit);
    /// Ready, but not for the next claim.
    void park(std::int64_t seq) { set_parked_.run(seq, 1); }
    [[nodiscard]] std::int64_t running_with(std::int64_t queue, std::string_view key);

    /// Its body is no longer needed.
    void drop_payload(std::int64_t seq) { delete_payload_.run(seq); }
    void set_reason(std::int64_t seq, std::string_view reason) { set_reason_.run(seq, reason); }
    void set_progress(std::int64_t seq, std::string_view text) { set_progress_.run(seq, text); }
    void set_answer(std::int64_t seq, std::uint16_t status, std::string_view fields) {
        set_answer_.run(seq, status, fields);
    }

 private:
    [[nodiscard]] static std::optional<SqliteJob> read(SqliteStatement::Use& use);
    [[nodiscard]] bool behind_parked(const SqliteJob& job);
    void give_key(std::int64_t queue, std::string_view key);

    SqliteConnection& connection_;
    SqliteQueues& queues_;
    SqliteStatement by_id_, by_seq_, by_unique_;
    SqliteStatement insert_, update_, delete_job_, delete_payload_, delete_result_, delete_note_,
        delete_attempts_, result_size_, idempotency_of_, delete_idempotency_;
    SqliteStatement set_parked_, first_parked_, some_parked_, running_with_;
    SqliteStatement set_reason_, set_progress_, set_answer_;
};

}  // namespace worker::jobs
