#include "worker/jobs/sqlite_claim.h"

#include <algorithm>
#include <vector>

namespace worker::jobs {
namespace {

constexpr std::uint32_t promoted_min = 64;     // scheduled ones that become ready in a claim, at least,
constexpr std::uint32_t promoted_each = 4;     // and so many for each that it asks for
constexpr std::uint32_t parked_max = 500;      // that it passes over as their key has no place free
constexpr std::uint32_t unparked_max = 2000;   // when the bound of keys was changed
constexpr std::int64_t fences_at_once = 1000;  // so that not every claim writes which was the last one

}  // namespace

SqliteClaims::SqliteClaims(SqliteConnection& connection, SqliteQueues& queues, SqliteJobs& jobs)
    : queues_(queues),
      jobs_(jobs),
      due_(connection,
           "SELECT seq FROM jobs INDEXED BY jobs_due WHERE state = 0 AND queue = ?1 AND run_at <= ?2 "
           "ORDER BY run_at, seq LIMIT ?3"),
      next_due_(connection,
                "SELECT run_at FROM jobs INDEXED BY jobs_due WHERE state = 0 AND queue = ?1 "
                "ORDER BY run_at LIMIT 1"),
      ready_(connection,
             "SELECT seq FROM jobs INDEXED BY jobs_ready WHERE state = 1 AND parked = 0 AND queue = ?1 "
             "ORDER BY priority DESC, run_at, seq LIMIT ?2"),
      payload_(connection, "SELECT content_type, trace, body, request FROM payloads WHERE seq = ?1"),
      read_fence_(connection, "SELECT value FROM meta WHERE name = 'fence'"),
      write_fence_(connection, "UPDATE meta SET value = ?1 WHERE name = 'fence'"),
      extend_(
          connection,
          "UPDATE jobs INDEXED BY jobs_state SET lease = ?3 WHERE queue = ?1 AND state = 2 AND owner = ?2") {}

void SqliteClaims::apply(Claim& operation, UnixMs now) {
    SqliteQueue* queue = queues_.find(operation.queue);
    if (queue == nullptr || queue->paused || operation.count == 0) return;

    bool all = adjust_key_bound(*queue, operation.key_concurrency);
    if (promote(*queue, now, std::max(promoted_min, promoted_each * operation.count))) all = false;

    std::uint32_t count = operation.count;
    if (operation.running_max != 0) {
        const auto runs = std::max<std::int64_t>(queue->count(State::running), 0);
        const auto places = std::max<std::int64_t>(operation.running_max - runs, 0);
        if (places < count) {
            count = static_cast<std::uint32_t>(places);
            operation.answer.held = true;
        }
    }

    std::map<std::string, std::int64_t> running;  // by key
    std::uint32_t passed = 0;
    std::uint64_t bytes = 0;
    bool full = false;
    std::vector<std::int64_t> candidates;
    auto& given = operation.answer.jobs;
    given.reserve(std::min<std::size_t>(count, 64));
    while (given.size() < count && !full) {
        candidates.clear();
        {
            auto use = ready_.with(queue->id, count - given.size() + std::min(passed, 64U));
            while (use.row()) candidates.push_back(use.integer(0));
        }
        if (candidates.empty()) break;
        for (const auto seq : candidates) {
            if (given.size() == count) break;
            auto job = jobs_.find(seq);
            if (!job) break;  // it failed
            const auto size = static_cast<std::uint64_t>(job->body_size);
            full = !given.empty() && bytes + size > claimed_bytes_max;
            if (full) break;
            if (has_place(running, operation, *job)) {
                give(operation, *job, now);
                bytes += size;
            } else {
                jobs_.park(seq);
                ++passed;
            }
        }
        if (passed >= parked_max) {
            all = false;
            break;
        }
    }

    if (!all || full) {
        operation.answer.next = now;
        return;
    }
    auto use = next_due_.with(queue->id);
    if (use.row()) operation.answer.next = use.integer(0);
}

bool SqliteClaims::promote(const SqliteQueue& queue, UnixMs now, std::uint32_t limit) {
    std::vector<std::int64_t> due;
    {
        auto use = due_.with(queue.id, now, limit);
        while (use.row()) due.push_back(use.integer(0));
    }
    for (const auto seq : due) {
        const auto before = jobs_.find(seq);
        if (!before) break;
        SqliteJob job = *before;
        job.state = State::ready;
        jobs_.change(*before, job);
    }
    return due.size() == limit;
}

bool SqliteClaims::adjust_key_bound(SqliteQueue& queue, std::uint32_t bound) {
    const std::uint32_t old = queue.key_concurrency;
    if (old == bound) return true;
    // with more places those that are parked may run: they come back piece by piece, and only then is this
    // over
    const bool more = old != 0 && (bound == 0 || bound > old);
    if (more && !jobs_.unpark_some(queue.id, unparked_max)) return false;
    queue.key_concurrency = bound;
    queue.changed = true;
    return true;
}

/// Counted from what runs, so that no slip of a counter can ever let two run at once, or none.
bool SqliteClaims::has_place(std::map<std::string, std::int64_t>& running, const Claim& operation,
                             const SqliteJob& job) {
    if (operation.key_concurrency == 0 || job.key.empty()) return true;
    const auto [found, added] = running.try_emplace(job.key, 0);
    if (added) found->second = jobs_.running_with(job.queue, job.key);
    if (found->second >= operation.key_concurrency) return false;
    ++found->second;
    return true;
}

void SqliteClaims::give(Claim& operation, SqliteJob& job, UnixMs now) {
    const SqliteJob before = job;
    job.state = State::running;
    job.fence = next_fence();
    job.owner = operation.owner;
    job.lease = operation.lease_until;
    job.started = now;
    ++job.attempts;
    jobs_.change(before, job);

    Claimed claimed;
    {
        auto use = payload_.with(job.seq);
        if (use.row()) {
            claimed.content_type = use.text(0);
            claimed.trace = use.text(1);
            claimed.body = use.text(2);
            claimed.request = use.text(3);
        }
    }
    claimed.queue = operation.queue;
    claimed.fence = job.fence;
    claimed.attempt = job.attempts;
    claimed.attempts = job.attempts_max;
    claimed.crashes = job.crashes;
    claimed.created = job.created;
    claimed.run_at = job.run_at;
    claimed.id = std::move(job.id);
    claimed.key = std::move(job.key);
    claimed.callback = std::move(job.callback);
    operation.answer.jobs.push_back(std::move(claimed));
}

std::int64_t SqliteClaims::next_fence() {
    if (fence_ == fences_reserved_) {
        auto use = read_fence_.with();
        if (use.row()) fence_ = std::max(fence_, use.integer(0));
        fences_reserved_ = fence_ + fences_at_once;
        write_fence_.run(fences_reserved_);
    }
    ++fence_;
    if (given_.last < given_.first) given_.first = fence_;
    given_.last = fence_;
    return fence_;
}

SqliteClaims::Fences SqliteClaims::take_fences() { return std::exchange(given_, Fences{}); }

void SqliteClaims::apply(Extend& operation) {
    for (const auto& [name, queue] : queues_.all()) {
        if (queue.jobs[static_cast<std::size_t>(State::running)] > 0)
            extend_.run(queue.id, operation.owner, operation.lease_until);
    }
}

}  // namespace worker::jobs
