#include "worker/jobs/sqlite_views.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace worker::jobs {
SqliteViews::SqliteViews(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs)
    : queues_(queues),
      jobs_(jobs),
      note_(connection, "SELECT progress, reason FROM notes WHERE seq = ?1"),
      history_(connection,
               "SELECT number, started, ended, ending, error FROM attempts WHERE seq = ?1 ORDER BY number"),
      result_(connection, "SELECT body FROM results WHERE seq = ?1"),
      result_size_(connection, "SELECT content_type, size, cut FROM results WHERE seq = ?1"),
      answer_(connection, "SELECT status, fields FROM notes WHERE seq = ?1"),
      newest_(connection, "SELECT seq FROM jobs WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"),
      newest_of_state_(connection,
                       "SELECT seq FROM jobs INDEXED BY jobs_state WHERE queue = ?1 AND state = ?2 AND "
                       "seq < ?3 ORDER BY seq DESC LIMIT ?4"),
      next_priority_(connection,
                     "SELECT priority, run_at FROM jobs INDEXED BY jobs_ready WHERE state = 1 AND parked = 0 "
                     "AND queue = ?1 AND priority < ?2 ORDER BY priority DESC, run_at LIMIT 1"),
      next_due_(connection,
                "SELECT run_at FROM jobs INDEXED BY jobs_due WHERE state = 0 AND queue = ?1 "
                "ORDER BY run_at LIMIT 1") {}

View SqliteViews::view(SqliteJob&& job) {
    View view;
    view.id = std::move(job.id);
    view.queue = queues_.at(job.queue).name;
    view.key = std::move(job.key);
    view.callback = std::move(job.callback);
    view.state = job.state;
    view.priority = job.priority;
    view.attempts_made = job.attempts;
    view.attempts = job.attempts_max;
    view.crashes = job.crashes;
    view.created = job.created;
    view.run_at = job.run_at;
    view.started = job.started;
    view.ended = job.ended;
    view.cancelling = job.cancelling;
    view.body_size = static_cast<std::uint64_t>(job.body_size);
    auto use = note_.with(job.seq);
    if (use.row()) {
        view.progress = use.text(0);
        view.reason = use.text(1);
    }
    return view;
}

void SqliteViews::apply(Get& operation) {
    auto job = jobs_.find(operation.id);
    if (!job) return;
    const std::int64_t seq = job->seq;
    operation.answer.found = true;
    View& shown = operation.answer.job = view(std::move(*job));
    {
        auto use = history_.with(seq);
        while (use.row())
            shown.history.push_back(
                {use.as<std::uint32_t>(0), use.integer(1), use.integer(2), use.as<Ending>(3), use.text(4)});
    }
    auto size = result_size_.with(seq);
    if (!size.row()) return;
    shown.result_type = size.text(0);
    shown.result_size = size.as<std::uint64_t>(1);
    shown.result_cut = size.integer(2) != 0;
    {
        auto use = answer_.with(seq);
        if (use.row()) {
            shown.result_status = use.as<std::uint16_t>(0);
            shown.result_fields = use.text(1);
        }
    }
    if (!operation.with_result || shown.result_size > operation.room) return;
    auto use = result_.with(seq);
    if (use.row()) shown.result = use.text(0);
}

void SqliteViews::apply(List& operation) {
    std::int64_t before = INT64_MAX;
    if (const auto& after = operation.after; !after.empty()) {
        const auto [end, error] = std::from_chars(after.data(), after.data() + after.size(), before);
        if (error != std::errc() || end != after.data() + after.size()) return;  // nothing comes after it
    }
    const std::size_t limit = std::min(operation.limit, listed_max);

    std::vector<std::int64_t> found;
    const auto collect = [&](SqliteStatement::Use&& use) {
        while (use.row()) found.push_back(use.integer(0));
    };
    if (operation.queue.empty() && operation.states.empty()) {
        collect(newest_.with(before, limit + 1));
    } else {
        for (const auto& [name, queue] : queues_.all()) {
            if (!operation.queue.empty() && name != operation.queue) continue;
            for (std::size_t number = 0; number < state_count; ++number) {
                const auto state = static_cast<State>(number);
                const auto& wanted = operation.states;
                if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), state) == wanted.end())
                    continue;
                collect(newest_of_state_.with(queue.id, state, before, limit + 1));
            }
        }
        std::sort(found.begin(), found.end(), std::greater<>());
    }

    const bool more = found.size() > limit;
    if (more) found.resize(limit);
    operation.answer.jobs.reserve(found.size());
    for (const auto seq : found) {
        if (auto job = jobs_.find(seq)) operation.answer.jobs.push_back(view(std::move(*job)));
    }
    if (more && !found.empty()) operation.answer.next = std::to_string(found.back());
}

void SqliteViews::apply(Stats& operation) {
    auto& answer = operation.answer.queues;
    answer.reserve(queues_.all().size());
    for (const auto& [name, queue] : queues_.all()) {
        const auto count = [&queue = queue](State state) {
            return static_cast<std::uint64_t>(queue.jobs[static_cast<std::size_t>(state)]);
        };
        Stats::Queue shown;
        shown.name = name;
        shown.paused = queue.paused;
        shown.scheduled = count(State::scheduled);
        shown.ready = count(State::ready);
        shown.running = count(State::running);
        shown.done = count(State::done);
        shown.dead = count(State::dead);
        shown.cancelled = count(State::cancelled);
        shown.bytes = static_cast<std::uint64_t>(queue.bytes);
        shown.oldest_ready = oldest_ready(queue.id);
        auto use = next_due_.with(queue.id);
        if (use.row()) shown.next_scheduled = use.integer(0);
        answer.push_back(std::move(shown));
    }
}

/// The first of each priority is looked at, and no other.
UnixMs SqliteViews::oldest_ready(std::int64_t queue) {
    UnixMs oldest = 0;
    for (std::int64_t priority = INT32_MAX;;) {
        auto use = next_priority_.with(queue, priority);
        if (!use.row()) return oldest;
        priority = use.integer(0);
        oldest = oldest == 0 ? use.integer(1) : std::min(oldest, use.integer(1));
    }
}

}  // namespace worker::jobs
