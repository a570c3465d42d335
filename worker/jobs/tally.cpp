#include "worker/jobs/tally.h"

#include <algorithm>
#include <variant>

#include "worker/jobs/unix_clock.h"

namespace worker::jobs {

void Tally::note(const Operation& operation) {
    if (muted_) return;
    if (const auto* enqueue = std::get_if<Enqueue>(&operation)) return note_enqueue(*enqueue);
    if (const auto* fire = std::get_if<Fire>(&operation)) return note_enqueue(fire->enqueue);
    if (const auto* claim = std::get_if<Claim>(&operation)) return note_claim(*claim);
    if (const auto* finish = std::get_if<Finish>(&operation)) return note_finish(*finish);
    if (const auto* recover = std::get_if<Recover>(&operation)) return note_recover(*recover);
    if (const auto* stats = std::get_if<Stats>(&operation)) return show(*stats);
}

void Tally::note_batch(std::size_t operations, bool stored, std::uint64_t took_us,
                       const StoreFigures& figures) {
    if (muted_) return;
    auto& jobs = cell();
    (stored ? jobs.commits : jobs.failures).add();
    if (stored) {
        jobs.operations.add(operations);
        jobs.batch.add(operations);
    }
    jobs.commit.add(took_us);
    jobs.syncs.set(figures.syncs);
    jobs.wal_bytes.set(figures.wal_bytes);
    jobs.dead_rows.set(figures.dead_rows);
    jobs.oldest_transaction_ms.set(
        static_cast<std::uint64_t>(std::max<std::int64_t>(figures.oldest_transaction_ms, 0)));
}

void Tally::note_latency(const Operation& operation, std::uint64_t us) {
    if (muted_) return;
    if (std::holds_alternative<Enqueue>(operation)) cell().enqueue.add(us);
    if (std::holds_alternative<Claim>(operation)) cell().claim.add(us);
}

void Tally::note_able() {
    if (muted_) return;
    cell().healthy.set(1);
    cell().unable_since_ms.set(0);
}

/// From the first time on, for the last reason.
void Tally::note_unable(std::string_view why) {
    if (muted_) return;
    auto& jobs = cell();
    jobs.healthy.set(0);
    jobs.unable_why.set(why);
    if (jobs.unable_since_ms.get() == 0) jobs.unable_since_ms.set(static_cast<std::uint64_t>(unix_ms()));
}

ipc::JobQueueCell* Tally::queue(const std::string& name) {
    auto known = queues_.find(name);
    if (known == queues_.end()) known = queues_.emplace(name, board_.job_queue(name)).first;
    return known->second == 0 ? nullptr : &board_.job_queue_cell(known->second);
}

void Tally::note_enqueue(const Enqueue& enqueue) {
    auto* const counted = queue(enqueue.job.queue);
    if (counted == nullptr) return;
    switch (enqueue.answer.what) {
        case Enqueue::Answer::What::created: return counted->created.add();
        case Enqueue::Answer::What::existing: return counted->existing.add();
        case Enqueue::Answer::What::mismatch: return counted->mismatch.add();
        case Enqueue::Answer::What::full: return counted->full.add();
        case Enqueue::Answer::What::in_flight: return;
    }
}

void Tally::note_claim(const Claim& claim) {
    auto* const counted = queue(claim.queue);
    if (counted == nullptr) return;
    const auto now = unix_ms();
    for (const auto& job : claim.answer.jobs) {
        const auto due = std::max(job.created, job.run_at);
        counted->waited.add(static_cast<std::uint64_t>(std::max<UnixMs>(now - due, 0)) * 1000);
        running_[job.id] = claim.queue;
    }
}

void Tally::note_finish(const Finish& finish) {
    const auto running = running_.find(finish.id);
    if (running == running_.end()) return;
    if (auto* const counted = queue(running->second); counted != nullptr && finish.answer.accepted)
        counted->attempts.at(static_cast<std::size_t>(finish.ending)).add();
    running_.erase(running);
}

void Tally::note_recover(const Recover& recover) {
    for (const auto& lost : recover.answer.queues)
        if (auto* const counted = queue(lost.queue); counted != nullptr)
            counted->attempts.at(static_cast<std::size_t>(Ending::lost)).add(lost.jobs);
}

void Tally::show(const Stats& stats) {
    for (const auto& found : stats.answer.queues) {
        auto* const shown = queue(found.name);
        if (shown == nullptr) continue;
        shown->scheduled.set(found.scheduled);
        shown->ready.set(found.ready);
        shown->running.set(found.running);
        shown->done.set(found.done);
        shown->dead.set(found.dead);
        shown->cancelled.set(found.cancelled);
        shown->bytes.set(found.bytes);
        shown->oldest_ready_ms.set(static_cast<std::uint64_t>(std::max<UnixMs>(found.oldest_ready, 0)));
        shown->paused.set(found.paused ? 1 : 0);
    }
}

}  // namespace worker::jobs
