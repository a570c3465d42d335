#include "worker/jobs/postgres_store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "worker/jobs/unix_clock.h"

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds least_wait{100}, most_wait{1000};
constexpr std::chrono::seconds figures_every{5};
constexpr milliseconds long_transaction{60'000};  ///< the log tells of it

/// What was asked for a second time is there since the first time.
void note_created(Enqueue& enqueue) {
    if (enqueue.answer.what == Enqueue::Answer::What::existing && enqueue.answer.id == enqueue.job.id)
        enqueue.answer.what = Enqueue::Answer::What::created;
}

}  // namespace

PostgresStore::PostgresStore(const std::string& url, PostgresOptions options)
    : terms_{.url = url, .name = "reeve", .timeout = options.timeout}, options_(std::move(options)) {
    if (!options_.is_gone) options_.is_gone = [](const std::string&) { return false; };
}

PostgresStore::~PostgresStore() {
    if (doubt_.batch == 0) return;
    // What was claimed and lost with its answer would wait for the lease of whoever claimed it.
    not_before_ = {};
    (void)reach(unix_ms());
}

ipc::Result<std::unique_ptr<Store>> PostgresStore::open(const std::string& url, PostgresOptions options) {
    std::unique_ptr<PostgresStore> made(new PostgresStore(url, std::move(options)));
    if (auto reached = made->reach(0); !reached) {
        if (made->refused_) return tl::make_unexpected(std::move(reached.error()));
        spdlog::error("jobs cannot be stored yet, will try again why={:?}", made->why_);
    }
    return made;
}

ipc::Result<void> PostgresStore::reach(UnixMs now) {
    if (session_ && !session_->connection().alive()) {
        spdlog::warn("the database has ended the connection, will connect again");
        session_.reset();
    }
    if (session_) return {};
    if (Clock::now() < not_before_) return ipc::failure(why_);
    auto opened = PostgresSession::open(terms_, doubt_, now, refused_);
    if (!opened) {
        why_ = opened.error().text();
        wait_ = std::clamp(2 * wait_, least_wait, most_wait);
        // not all nodes at once
        const auto share =
            std::uniform_int_distribution<std::int64_t>(wait_.count() / 2, wait_.count())(random_);
        not_before_ = Clock::now() + milliseconds(share);
        return tl::make_unexpected(std::move(opened.error()));
    }
    session_ = std::move(*opened);
    if (wait_.count() > 0 || doubt_.batch != 0) spdlog::info("the database is reached again");
    wait_ = milliseconds(0);
    doubt_ = {};
    if (const bool durable = session_->durable(); std::exchange(durable_, durable) && !durable)
        spdlog::warn("the database has fsync = off: jobs that it has stored may be lost with its power");
    return {};
}

ipc::Result<void> PostgresStore::apply(std::span<Operation> batch, UnixMs now) {
    if (batch.empty()) return {};
    const auto until = Clock::now() + options_.timeout;
    lost_ = false;
    auto applied = apply_until(batch, now, until);
    // Nobody knows what has become of it: asked again it is certain, as all of it may be asked twice. (A
    // Cancel, Retry or Purge that had come to pass then says what is, and not what it did.)
    if (!applied && lost_ && Clock::now() < until) {
        drop_answers(batch);  // some may have come before the end of the batch did not
        applied = apply_until(batch, now, until);
        if (applied)
            for (auto& operation : batch) {
                if (auto* enqueue = std::get_if<Enqueue>(&operation)) note_created(*enqueue);
                if (auto* fire = std::get_if<Fire>(&operation)) note_created(fire->enqueue);
            }
    }
    if (!applied) {
        drop_answers(batch);
        return applied;
    }
    if (std::any_of(batch.begin(), batch.end(), [](const Operation& one) { return !only_reads(one); })) {
        ++figures_.commits;
        ++figures_.syncs;
    } else if (Clock::now() - figures_at_ >= figures_every) {
        look_at_figures();
    }
    return {};
}

ipc::Result<void> PostgresStore::apply_until(std::span<Operation> batch, UnixMs now,
                                             Clock::time_point until) {
    if (auto reached = reach(now); !reached) return reached;
    PostgresMoment moment;
    moment.now = now;
    moment.batch = ++mark_;
    if (options_.own_clock) moment.clock = now;
    const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now());
    auto applied = session_->apply(batch, moment, options_.is_gone, std::max(left, milliseconds(1)));
    if (!applied && session_->connection().broken()) lose(batch, moment.batch);
    return applied;
}

void PostgresStore::lose(std::span<const Operation> batch, std::int64_t mark) {
    if (!std::all_of(batch.begin(), batch.end(), only_reads)) {
        doubt_ = {.backend = session_->connection().backend(), .batch = mark, .claimers = {}};
        for (const auto& operation : batch)
            if (const auto* claim = std::get_if<Claim>(&operation))
                if (std::find(doubt_.claimers.begin(), doubt_.claimers.end(), claim->owner) ==
                    doubt_.claimers.end())
                    doubt_.claimers.push_back(claim->owner);
    }
    session_.reset();
    lost_ = true;
    not_before_ = {};
}

void PostgresStore::tidy() {
    // autovacuum does the rest; see the table's settings
    if (!session_ || !session_->connection().alive()) (void)reach(unix_ms());
}

void PostgresStore::look_at_figures() {
    figures_at_ = Clock::now();
    session_->connection().limit(options_.timeout);
    const auto figures = session_->figures();
    if (!figures) return;
    figures_.dead_rows = figures->dead_rows;
    const auto before = std::exchange(figures_.oldest_transaction_ms, figures->oldest_transaction_ms);
    if (figures_.oldest_transaction_ms >= long_transaction.count() && before < long_transaction.count())
        spdlog::warn(
            "a transaction of the database stays open: dead rows cannot go, and claims become slow "
            "open_ms={} "
            "dead_rows={}",
            figures_.oldest_transaction_ms, figures_.dead_rows);
}

}  // namespace worker::jobs
