#include "worker/jobs/sqlite_enqueue.h"

#include <algorithm>

#include "worker/jobs/callback.h"

namespace worker::jobs {

SqliteEnqueue::SqliteEnqueue(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs)
    : queues_(queues),
      jobs_(jobs),
      idempotency_(connection,
                   "SELECT fingerprint, until, id FROM idempotency WHERE queue = ?1 AND key = ?2"),
      set_idempotency_(connection,
                       "INSERT OR REPLACE INTO idempotency (queue, key, fingerprint, until, id) "
                       "VALUES (?1, ?2, ?3, ?4, ?5)"),
      insert_payload_(connection,
                      "INSERT INTO payloads (seq, content_type, trace, idempotency_key, body, request) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
      fired_(connection, "SELECT id FROM fired WHERE schedule = ?1 AND due = ?2"),
      insert_fired_(connection, "INSERT INTO fired (schedule, due, id) VALUES (?1, ?2, ?3)"),
      last_fired_(connection, "SELECT max(due) FROM fired WHERE schedule = ?1") {}

void SqliteEnqueue::apply(Enqueue& operation, UnixMs now) {
    if (known(operation, now)) return;

    const NewJob& wanted = operation.job;
    SqliteQueue& queue = queues_.at(wanted.queue);
    const auto size = static_cast<std::int64_t>(wanted.body.size() + wanted.request.size());
    const auto over = [](std::uint64_t bound, std::int64_t would_be) {
        return bound != 0 && static_cast<std::uint64_t>(would_be) > bound;
    };
    if (over(operation.room.jobs, queue.not_over() + 1) || over(operation.room.bytes, queue.bytes + size)) {
        operation.answer.what = Enqueue::Answer::What::full;
        return;
    }
    // its end will be told whatever happens: where that many wait to be told, no more are taken
    const auto* telling =
        is_told(queue.name, wanted.callback) ? queues_.find(conf::callbacks_queue_of(queue.name)) : nullptr;
    if (telling != nullptr && (over(operation.room.jobs, telling->not_over() + 1) ||
                               over(operation.room.bytes, telling->bytes + 1))) {
        operation.answer.what = Enqueue::Answer::What::full;
        return;
    }

    SqliteJob job;
    job.id = wanted.id;
    job.queue = queue.id;
    job.key = wanted.key;
    job.unique = wanted.unique;
    job.priority = std::clamp(wanted.priority, -100, 100);
    job.state = wanted.run_at > now ? State::scheduled : State::ready;
    job.run_at = std::max(wanted.run_at, now);  // who asks for a time long past goes before nobody
    job.created = now;
    job.attempts_max = wanted.attempts;
    job.body_size = size;
    job.callback = wanted.callback;
    jobs_.insert(job);
    insert_payload_.run(job.seq, wanted.content_type, SqliteOptional{wanted.trace},
                        SqliteOptional{wanted.idempotency_key}, SqliteBlob{wanted.body},
                        SqliteBlob{wanted.request});
    if (!wanted.idempotency_key.empty())
        set_idempotency_.run(queue.id, wanted.idempotency_key, wanted.fingerprint, wanted.idempotency_until,
                             job.id);
    operation.answer = {Enqueue::Answer::What::created, job.id, job.state};
}

bool SqliteEnqueue::known(Enqueue& operation, UnixMs now) {
    const NewJob& wanted = operation.job;
    if (const auto same = jobs_.find(wanted.id)) {
        existing(operation.answer, *same);
        return true;
    }
    SqliteQueue* queue = queues_.find(wanted.queue);
    if (queue == nullptr) return false;
    if (!wanted.idempotency_key.empty()) {
        auto use = idempotency_.with(queue->id, wanted.idempotency_key);
        if (use.row() && use.integer(1) > now) {
            const std::string id = use.text(2);
            if (use.text(0) != wanted.fingerprint)
                operation.answer = {Enqueue::Answer::What::mismatch, id, State::done};
            else if (const auto earlier = jobs_.find(id))
                existing(operation.answer, *earlier);
            else
                operation.answer = {Enqueue::Answer::What::existing, id, State::done};
            return true;
        }
    }
    if (!wanted.unique.empty()) {
        if (const auto other = jobs_.find_unique(queue->id, wanted.unique)) {
            existing(operation.answer, *other);
            return true;
        }
    }
    return false;
}

void SqliteEnqueue::existing(Enqueue::Answer& answer, const SqliteJob& job) {
    answer = {Enqueue::Answer::What::existing, job.id, job.state};
}

void SqliteEnqueue::apply(Fire& operation, UnixMs now) {
    {
        auto use = fired_.with(operation.schedule, operation.due);
        if (use.row()) {
            const std::string id = use.text(0);
            operation.enqueue.answer = {Enqueue::Answer::What::existing, id, State::done};
            if (const auto job = jobs_.find(id)) existing(operation.enqueue.answer, *job);
            return;
        }
    }
    apply(operation.enqueue, now);
    // a run that finds the queue full may be tried again
    if (const auto& answer = operation.enqueue.answer; answer.what != Enqueue::Answer::What::full)
        insert_fired_.run(operation.schedule, operation.due, answer.id);
}

void SqliteEnqueue::apply(LastFired& operation) {
    auto use = last_fired_.with(operation.schedule);
    if (use.row()) operation.answer.due = use.integer(0);
}

}  // namespace worker::jobs
