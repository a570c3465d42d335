#include "worker/jobs/sqlite_removal.h"

#include <algorithm>
#include <vector>

namespace worker::jobs {
namespace {

constexpr std::size_t removed_max = 1000;
/// Older runs of a schedule than these are not asked for again; its last one is kept for ever.
constexpr UnixMs fired_kept = 8LL * 24 * 3600 * 1000;

}  // namespace

SqliteRemoval::SqliteRemoval(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs)
    : connection_(connection),
      queues_(queues),
      jobs_(jobs),
      oldest_(connection,
              "SELECT seq, created FROM jobs INDEXED BY jobs_state WHERE queue = ?1 AND state = ?2 "
              "ORDER BY seq LIMIT ?3"),
      ended_(connection,
             "SELECT seq FROM jobs INDEXED BY jobs_ended WHERE state >= 3 AND queue = ?1 AND state = ?2 AND "
             "ended < ?3 ORDER BY ended LIMIT ?4"),
      delete_idempotency_(connection,
                          "DELETE FROM idempotency WHERE (queue, key) IN "
                          "(SELECT queue, key FROM idempotency WHERE until <= ?1 LIMIT ?2)"),
      delete_fired_(connection,
                    "DELETE FROM fired WHERE (schedule, due) IN (SELECT schedule, due FROM fired f "
                    "WHERE due < ?1 AND EXISTS (SELECT 1 FROM fired l WHERE l.schedule = f.schedule AND "
                    "l.due > f.due) LIMIT ?2)") {}

std::size_t SqliteRemoval::erase(const std::vector<std::int64_t>& found) {
    std::size_t erased = 0;
    std::uint64_t bytes = 0;
    for (const auto seq : found) {
        if (bytes >= removed_bytes_max) break;
        if (const auto job = jobs_.find(seq)) bytes += jobs_.erase(*job);
        ++erased;
    }
    return erased;
}

void SqliteRemoval::apply(Purge& operation) {
    const SqliteQueue* queue = queues_.find(operation.queue);
    if (queue == nullptr) return;
    std::vector<std::int64_t> found;
    for (std::size_t number = 0; number < state_count; ++number) {
        const auto state = static_cast<State>(number);
        const auto& wanted = operation.states;
        if (state == State::running) continue;
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), state) == wanted.end()) continue;
        // in the order they came in, which is that of `created` but for steps of the clock
        auto use = oldest_.with(queue->id, state, 2 * removed_max);
        while (found.size() < removed_max && use.row()) {
            if (operation.before == 0 || use.integer(1) < operation.before) found.push_back(use.integer(0));
        }
    }
    const std::size_t erased = erase(found);
    operation.answer = {erased, erased < found.size() || found.size() == removed_max};
}

void SqliteRemoval::apply(Expire& operation, UnixMs now) {
    std::vector<std::int64_t> found;
    const auto collect = [&](const SqliteQueue& queue, State state, UnixMs before) {
        auto use = ended_.with(queue.id, state, before, removed_max - found.size());
        while (use.row()) found.push_back(use.integer(0));
    };
    for (const auto& keep : operation.queues) {
        const SqliteQueue* queue = queues_.find(keep.queue);
        if (queue == nullptr) continue;
        collect(*queue, State::done, keep.ended_before);
        collect(*queue, State::cancelled, keep.ended_before);
        collect(*queue, State::dead, keep.dead_before);
    }
    const std::size_t removed = erase(found);
    delete_idempotency_.run(now, removed_max);
    const auto keys = static_cast<std::size_t>(sqlite3_changes(connection_.get()));
    delete_fired_.run(now - fired_kept, removed_max);
    const auto runs = static_cast<std::size_t>(sqlite3_changes(connection_.get()));
    operation.answer = {removed, removed < found.size() || removed == removed_max || keys == removed_max ||
                                     runs == removed_max};
}

}  // namespace worker::jobs
