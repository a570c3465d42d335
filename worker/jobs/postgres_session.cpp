#include "worker/jobs/postgres_session.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "worker/jobs/postgres_functions.h"
#include "worker/jobs/postgres_schema.h"

namespace worker::jobs {
namespace {

using std::chrono::milliseconds;

constexpr int tries_max = 8;
constexpr int first_pause_ms = 4;       ///< doubles with each try
constexpr std::int32_t given_back = 2;  ///< of reeve_recover

/// A part of the counts that no other connection has. Should all be taken two share one, and wait for each
/// other.
constexpr const char* take_a_part =
    "SELECT coalesce((SELECT p FROM generate_series(0, 127) AS p WHERE pg_try_advisory_lock(1919247724, p) "
    "LIMIT 1), "
    "pg_backend_pid() % 128), current_setting('fsync')::boolean";

/// Not what it is, but how it is: no room, no time, a lock that somebody has, on its way down or up.
bool is_passing(const std::string& state) {
    constexpr std::array<std::string_view, 7> classes{"08", "25", "40", "53", "55", "57", "58"};
    return std::any_of(classes.begin(), classes.end(),
                       [&](std::string_view one) { return state.starts_with(one); });
}

/// It was rolled back since another node was doing something that does not go with it.
bool is_worth_another_try(const std::string& state) {
    constexpr std::array<std::string_view, 3> states{"40001", "40P01", "23505"};
    return std::find(states.begin(), states.end(), state) != states.end();
}

/// Whoever got the better of us is about to end. Of different lengths, so that two do not meet again.
void let_others_end(int tries) {
    thread_local std::minstd_rand random(std::random_device{}());
    std::this_thread::sleep_for(
        milliseconds(std::uniform_int_distribution<int>(1, first_pause_ms << std::min(tries, 6))(random)));
}

}  // namespace

ipc::Result<std::unique_ptr<PostgresSession>> PostgresSession::open(const PostgresConnection::Terms& terms,
                                                                    const PostgresDoubt& doubt, UnixMs now,
                                                                    bool& refused) {
    refused = false;
    auto connection = PostgresConnection::open(terms);
    if (!connection) return tl::make_unexpected(std::move(connection.error()));
    std::unique_ptr<PostgresSession> made(new PostgresSession(std::move(*connection)));
    if (auto prepared = made->prepare(terms.timeout); !prepared) {
        refused = !made->connection_->broken() && !is_passing(made->connection_->state());
        return tl::make_unexpected(std::move(prepared.error()));
    }
    if (auto settled = made->settle(doubt, now, terms.timeout); !settled)
        return tl::make_unexpected(std::move(settled.error()));
    return made;
}

ipc::Result<void> PostgresSession::prepare(milliseconds limit) {
    if (auto prepared = prepare_postgres_schema(*connection_, limit); !prepared) return prepared;
    connection_->limit(limit);
    if (auto made = connection_->run_script(postgres_common_functions() + postgres_enqueue_functions() +
                                            postgres_claim_functions() + postgres_tell_functions() +
                                            postgres_finish_functions() + postgres_removal_functions());
        !made)
        return made;
    for (const auto& statement : postgres_statements)
        if (auto prepared = connection_->prepare(statement.name, statement.text); !prepared) return prepared;
    auto part = connection_->run(take_a_part);
    if (!part) return tl::make_unexpected(std::move(part.error()));
    part_ = part->as<std::int32_t>(0, 0);
    durable_ = part->flag(0, 1);
    return {};
}

ipc::Result<void> PostgresSession::settle(const PostgresDoubt& doubt, UnixMs now, milliseconds limit) {
    if (doubt.batch == 0) return {};
    connection_->limit(limit);
    PostgresParams who;
    who.integer(doubt.backend.pid).number(doubt.backend.started_us).number(limit.count() / 2);
    auto ended = run("end_backend", who);
    if (!ended) return tl::make_unexpected(std::move(ended.error()));
    if (ended->rows() > 0 && !ended->flag(0, 0))
        return ipc::failure("the database: what was asked for last is under way yet");
    if (doubt.claimers.empty()) return {};
    PostgresParams params;
    params.number(now).integer(part_).null().integer(given_back);
    params.all_bytes({doubt.claimers.begin(), doubt.claimers.end()}).number(doubt.batch);
    for (;;) {
        auto back = run("recover", params);
        if (!back) return tl::make_unexpected(std::move(back.error()));
        if (!back->flag(0, 1)) return {};
    }
}

ipc::Result<PostgresRows> PostgresSession::run(const char* name, const PostgresParams& params) {
    PostgresRows found;
    if (!connection_->add(name, params)) return ipc::failure("the database: the connection broke");
    auto committed =
        connection_->commit([&](std::size_t, PostgresRows& rows) { found = std::move(rows); }, 1);
    if (!committed) return tl::make_unexpected(std::move(committed.error()));
    return ipc::Result<PostgresRows>(std::move(found));
}

ipc::Result<std::vector<std::string>> PostgresSession::gone_owners(const Recover& recover,
                                                                   const IsGone& is_gone) {
    std::vector<std::string> gone;
    auto owners = run("owners", {});
    if (!owners) return tl::make_unexpected(std::move(owners.error()));
    for (int row = 0; row < owners->rows(); ++row) {
        auto owner = owners->bytes(row, 0);
        if (std::find(recover.alive.begin(), recover.alive.end(), owner) == recover.alive.end() &&
            is_gone(owner))
            gone.push_back(std::move(owner));
    }
    return gone;
}

ipc::Result<void> PostgresSession::apply(std::span<Operation> batch, const PostgresMoment& moment,
                                         const IsGone& is_gone, milliseconds limit) {
    connection_->limit(limit);
    PostgresMoment ours = moment;
    ours.part = part_;
    for (int tries = 1;; ++tries) {
        auto applied = apply_once(batch, ours, is_gone);
        if (applied || connection_->broken() || tries == tries_max ||
            !is_worth_another_try(connection_->state()))
            return applied;
        drop_answers(batch);
        let_others_end(tries);
    }
}

ipc::Result<void> PostgresSession::apply_once(std::span<Operation> batch, const PostgresMoment& moment,
                                              const IsGone& is_gone) {
    std::vector<std::string> gone;
    for (const auto& operation : batch) {
        const auto* recover = std::get_if<Recover>(&operation);
        if (recover == nullptr || recover->by_lease) continue;
        auto found = gone_owners(*recover, is_gone);
        if (!found) return tl::make_unexpected(std::move(found.error()));
        gone = std::move(*found);
    }

    const auto broke = [&] { return connection_->refuse("the connection broke"); };
    std::size_t first = 0;
    if (const auto changed = changed_jobs(batch); changed.size() > 1) {
        PostgresParams ids;
        ids.all_bytes(changed);
        if (!connection_->add("lock", ids)) return broke();
        first = 1;
    }
    std::vector<std::span<Operation>> asked;
    for (std::size_t at = 0; at < batch.size();) {
        const auto count = together(batch.subspan(at));
        const auto call = call_of(batch.subspan(at, count), moment, gone);
        if (!connection_->add(call.statement, call.params)) return broke();
        asked.push_back(call.operations);
        at += count;
    }
    return connection_->commit(
        [&](std::size_t at, PostgresRows& rows) {
            if (at >= first) take_answers(rows, asked[at - first]);
        },
        asked.size() + first);
}

ipc::Result<PostgresSession::Figures> PostgresSession::figures() {
    auto rows = run("figures", {});
    if (!rows) return tl::make_unexpected(std::move(rows.error()));
    return Figures{rows->as<std::uint64_t>(0, 0), rows->number(0, 1)};
}

}  // namespace worker::jobs
