#include "worker/jobs/sqlite_finish.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "worker/jobs/callback.h"

namespace worker::jobs {
namespace {

constexpr std::size_t text_max = 1024;  // of errors and progress
constexpr std::uint32_t attempts_kept = 20;

std::string_view bounded(std::string_view text) { return text.substr(0, text_max); }

std::string_view name_of(Ending ending) {
    switch (ending) {
        case Ending::done: return "done";
        case Ending::failed: return "failed";
        case Ending::permanent: return "failed for good";
        case Ending::crashed: return "crashed";
        case Ending::timed_out: return "timed out";
        case Ending::released: return "given back";
        case Ending::cancelled: return "cancelled";
        case Ending::lost: return "lost";
    }
    return "";
}

}  // namespace

struct SqliteFinish::End {
    Ending ending;
    std::string_view error;
    UnixMs again_at = 0;
    std::uint32_t crashes_max = 0;
};

SqliteFinish::SqliteFinish(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs,
                           SqliteEnqueue& enqueue, SqliteViews& views)
    : queues_(queues),
      jobs_(jobs),
      enqueue_(enqueue),
      views_(views),
      running_(connection,
               "SELECT seq, owner, lease FROM jobs INDEXED BY jobs_state WHERE queue = ?1 AND state = 2"),
      with_fences_(connection,
                   "SELECT seq FROM jobs INDEXED BY jobs_state WHERE queue = ?1 AND state = 2 AND "
                   "fence BETWEEN ?2 AND ?3"),
      last_ending_(connection, "SELECT ending FROM attempts WHERE seq = ?1 AND number = ?2 AND fence = ?3"),
      insert_attempt_(connection,
                      "INSERT INTO attempts (seq, number, started, ended, ending, fence, error) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
      forget_attempts_(connection, "DELETE FROM attempts WHERE seq = ?1 AND number <= ?2"),
      set_result_(connection,
                  "INSERT OR REPLACE INTO results (seq, content_type, size, cut, body) "
                  "VALUES (?1, ?2, ?3, ?4, ?5)") {}

void SqliteFinish::apply(Finish& operation, UnixMs now) {
    auto job = jobs_.find(operation.id);
    if (!job || job->fence != operation.fence) return;
    if (job->state != State::running) {
        // said again, as whoever says it did not get the answer
        auto use = last_ending_.with(job->seq, job->runs, operation.fence);
        operation.answer.accepted = use.row() && use.as<Ending>(0) == operation.ending;
        operation.answer.state = job->state;
        return;
    }
    const End how{operation.ending, bounded(operation.error), operation.again_at, operation.crashes_max};
    end(*job, how, now);
    const bool answered = operation.result_status != 0;
    if (operation.ending == Ending::done &&
        (answered || !operation.result.empty() || !operation.result_type.empty() || operation.result_cut))
        set_result_.run(job->seq, operation.result_type, operation.result.size(), operation.result_cut,
                        SqliteBlob{operation.result});
    if (operation.ending == Ending::done && answered)
        jobs_.set_answer(job->seq, operation.result_status, operation.result_fields);
    tell(*job, now);
    operation.answer = {true, job->state};
}

/// What follows from the end of an attempt.
void SqliteFinish::end(SqliteJob& job, const End& end, UnixMs now) {
    const SqliteJob before = job;
    std::string reason;
    const auto again = [&](UnixMs at) {
        if (job.attempts_max != 0 && job.attempts >= job.attempts_max) {
            job.state = State::dead;
            reason = fmt::format("{} in the last of {} attempts", name_of(end.ending), job.attempts_max);
        } else {
            job.state = at > now ? State::scheduled : State::ready;
            job.run_at = at > now ? at : job.run_at;
        }
    };
    switch (end.ending) {
        case Ending::done: job.state = State::done; break;
        case Ending::cancelled: job.state = State::cancelled; break;
        case Ending::permanent:
            job.state = State::dead;
            reason = name_of(end.ending);
            break;
        case Ending::failed:
        case Ending::timed_out: again(std::max(end.again_at, now)); break;
        case Ending::lost: again(0); break;
        case Ending::crashed:
            ++job.crashes;
            again(0);
            if (end.crashes_max != 0 && job.crashes >= end.crashes_max) {
                job.state = State::dead;
                reason = fmt::format("crashed {} times", job.crashes);
            }
            break;
        case Ending::released:
            job.state = State::ready;
            --job.attempts;
            break;
    }
    if (job.cancelling && end.ending != Ending::done) {
        job.state = State::cancelled;
        reason.clear();
    }
    job.cancelling = false;
    job.owner.clear();
    job.lease = 0;
    if (job.over()) job.ended = now;
    if (end.ending != Ending::released) {
        ++job.runs;
        insert_attempt_.run(job.seq, job.runs, before.started, now, end.ending, job.fence, end.error);
        if (job.runs > attempts_kept) forget_attempts_.run(job.seq, job.runs - attempts_kept);
    }
    if (job.state == State::done) jobs_.drop_payload(job.seq);
    if (!reason.empty()) {
        if (!end.error.empty()) reason += fmt::format(": {}", end.error);
        jobs_.set_reason(job.seq, reason);
    }
    jobs_.change(before, job);
}

/// Whoever wants to hear of its end will, if it is over: with its end or not at all. Its result is stored.
void SqliteFinish::tell(const SqliteJob& job, UnixMs now) {
    if (!job.over() || !is_told(queues_.at(job.queue).name, job.callback)) return;
    Get get;
    get.id = job.id;
    views_.apply(get);
    if (!get.answer.found) return;
    Enqueue told;  // without a bound: there was room for it when the job was taken
    told.job = callback_job(get.answer.job, ids_.next());
    enqueue_.apply(told, now);
}

void SqliteFinish::apply(Progress& operation) {
    const auto job = jobs_.find(operation.id);
    if (!job || job->state != State::running || job->fence != operation.fence) return;
    jobs_.set_progress(job->seq, bounded(operation.text));
    operation.answer = {true, job->cancelling};
}

void SqliteFinish::apply(Cancel& operation, UnixMs now) {
    using What = Cancel::Answer::What;
    const auto before = jobs_.find(operation.id);
    if (!before) return;
    SqliteJob job = *before;
    if (job.over()) {
        operation.answer.what = What::over;
    } else if (job.state == State::running) {
        job.cancelling = true;
        if (!before->cancelling) jobs_.change(*before, job);
        operation.answer = {What::running, job.fence, job.owner};
    } else {
        job.state = State::cancelled;
        job.ended = now;
        jobs_.change(*before, job);
        tell(job, now);
        operation.answer.what = What::cancelled;
    }
}

void SqliteFinish::apply(Retry& operation, UnixMs now) {
    using What = Retry::Answer::What;
    const auto before = jobs_.find(operation.id);
    if (!before) return;
    SqliteJob job = *before;
    auto& answer = operation.answer;
    answer.queue = queues_.at(job.queue).name;
    switch (job.state) {
        case State::ready:
        case State::running: answer.what = What::not_over; return;
        case State::done: answer.what = What::done; return;
        case State::scheduled: break;
        case State::dead:
        case State::cancelled:
            if (!job.unique.empty() && jobs_.find_unique(job.queue, job.unique)) {
                answer.what = What::unique_taken;
                return;
            }
            job.attempts = 0;
            job.crashes = 0;
            job.ended = 0;
            jobs_.set_reason(job.seq, "");
            break;
    }
    job.state = State::ready;
    job.run_at = now;
    jobs_.change(*before, job);
    answer.what = What::ready;
}

/// What is passed over runs, so there are no more of those than all queues have places.
void SqliteFinish::apply(Recover& operation, UnixMs now) {
    const auto& alive = operation.alive;
    std::vector<std::pair<std::int64_t, const std::string*>> lost;  // and its queue
    for (const auto& [name, queue] : queues_.all()) {
        if (queue.jobs[static_cast<std::size_t>(State::running)] == 0) continue;
        auto use = running_.with(queue.id);
        while (lost.size() < recovered_max && use.row()) {
            const bool is_lost = operation.by_lease
                                     ? use.integer(2) <= now
                                     : std::find(alive.begin(), alive.end(), use.text(1)) == alive.end();
            if (is_lost) lost.emplace_back(use.integer(0), &queue.name);
        }
    }
    auto& found = operation.answer.queues;
    for (const auto& [seq, queue] : lost) {
        auto job = jobs_.find(seq);
        if (!job) continue;
        end(*job, End{.ending = Ending::lost, .error = "who ran it is gone"}, now);
        tell(*job, now);
        if (found.empty() || found.back().queue != *queue) found.push_back({.queue = *queue});
        ++found.back().jobs;
        ++operation.answer.recovered;
    }
    operation.answer.more = lost.size() == recovered_max;
}

void SqliteFinish::give_back(std::int64_t first_fence, std::int64_t last_fence, UnixMs now) {
    std::vector<std::int64_t> found;
    for (const auto& [name, queue] : queues_.all()) {
        auto use = with_fences_.with(queue.id, first_fence, last_fence);
        while (use.row()) found.push_back(use.integer(0));
    }
    for (const auto seq : found) {
        auto job = jobs_.find(seq);
        if (!job) continue;
        end(*job, End{.ending = Ending::released, .error = ""}, now);
        tell(*job, now);
    }
}

}  // namespace worker::jobs
