#include "worker/jobs/sqlite_session.h"

#include <algorithm>

namespace worker::jobs {
namespace {

template <class... Kinds>
struct OneOf : Kinds... {
    using Kinds::operator()...;
};
template <class... Kinds>
OneOf(Kinds...) -> OneOf<Kinds...>;

}  // namespace

SqliteSession::SqliteSession(std::unique_ptr<SqliteConnection> connection)
    : connection_(std::move(connection)),
      queues_(*connection_),
      jobs_(*connection_, queues_),
      enqueue_(*connection_, queues_, jobs_),
      claims_(*connection_, queues_, jobs_),
      views_(*connection_, queues_, jobs_),
      finish_(*connection_, queues_, jobs_, enqueue_, views_),
      removal_(*connection_, queues_, jobs_) {
    queues_.load();
}

bool SqliteSession::only_reads(std::span<const Operation> batch) {
    return std::all_of(batch.begin(), batch.end(),
                       [](const Operation& operation) { return jobs::only_reads(operation); });
}

SqliteSession::Outcome SqliteSession::apply(std::span<Operation> batch, UnixMs now,
                                            std::chrono::milliseconds limit) {
    connection_->begin(!only_reads(batch), limit);
    for (auto& operation : batch) apply(operation, now);
    return end();
}

SqliteSession::Outcome SqliteSession::prove(SqliteClaims::Fences fences, UnixMs now,
                                            std::chrono::milliseconds limit) {
    connection_->begin(true, limit);
    connection_->run("UPDATE meta SET value = value + 1 WHERE name = 'probe'");
    if (fences.first <= fences.last) finish_.give_back(fences.first, fences.last, now);
    return end();
}

SqliteSession::Outcome SqliteSession::end() {
    queues_.save();
    Outcome outcome;
    outcome.ok = connection_->commit();
    outcome.may_be_committed = connection_->may_be_committed();
    outcome.fences = claims_.take_fences();
    return outcome;
}

void SqliteSession::apply(Operation& operation, UnixMs now) {
    connection_->check_time();
    if (!connection_->ok()) return;
    std::visit(OneOf{
                   [&](Enqueue& one) { enqueue_.apply(one, now); },
                   [&](Claim& one) { claims_.apply(one, now); },
                   [&](Extend& one) { claims_.apply(one); },
                   [&](Finish& one) { finish_.apply(one, now); },
                   [&](Progress& one) { finish_.apply(one); },
                   [&](Cancel& one) { finish_.apply(one, now); },
                   [&](Retry& one) { finish_.apply(one, now); },
                   [&](Get& one) { views_.apply(one); },
                   [&](List& one) { views_.apply(one); },
                   [&](Pause& one) {
                       SqliteQueue& queue = queues_.at(one.queue);
                       queue.paused = one.paused;
                       queue.changed = true;
                   },
                   [&](Purge& one) { removal_.apply(one); },
                   [&](Expire& one) { removal_.apply(one, now); },
                   [&](Recover& one) { finish_.apply(one, now); },
                   [&](Stats& one) { views_.apply(one); },
                   [&](Fire& one) { enqueue_.apply(one, now); },
                   [&](LastFired& one) { enqueue_.apply(one); },
               },
               operation);
}

}  // namespace worker::jobs
