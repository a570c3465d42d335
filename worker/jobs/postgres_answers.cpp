// worker/jobs/postgres_answers.cpp: what a PostgreSQL answers, as the answers of operations.
#include <algorithm>
#include <string>

#include "worker/jobs/postgres_calls.h"

namespace worker::jobs {
namespace {

template <class... Kinds>
struct TakeEach : Kinds... {
    using Kinds::operator()...;
};
template <class... Kinds>
TakeEach(Kinds...) -> TakeEach<Kinds...>;

void take_enqueued(const PostgresRows& rows, int row, Enqueue::Answer& answer) {
    if (row >= rows.rows()) return;
    answer.what = rows.as<Enqueue::Answer::What>(row, 0);
    answer.id = rows.bytes(row, 1);
    answer.state = rows.as<State>(row, 2);
}

void take_claimed(const PostgresRows& rows, Claim& claim) {
    auto& answer = claim.answer;
    answer.jobs.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row) {
        if (rows.null(row, 1)) {
            answer.next = rows.number(row, 0);
            answer.held = rows.flag(row, 13);
            continue;
        }
        Claimed& job = answer.jobs.emplace_back();
        job.id = rows.bytes(row, 1);
        job.queue = claim.queue;
        job.content_type = rows.bytes(row, 2);
        job.body = rows.bytes(row, 3);
        job.key = rows.bytes(row, 4);
        job.callback = rows.bytes(row, 5);
        job.trace = rows.bytes(row, 6);
        job.fence = rows.number(row, 7);
        job.attempt = rows.as<std::uint32_t>(row, 8);
        job.attempts = rows.as<std::uint32_t>(row, 9);
        job.crashes = rows.as<std::uint32_t>(row, 10);
        job.created = rows.number(row, 11);
        job.run_at = rows.number(row, 12);
        job.request = rows.bytes(row, 14);
    }
}

constexpr int view_columns = 18;

View view_of(const PostgresRows& rows, int row) {
    View view;
    view.id = rows.bytes(row, 0);
    view.queue = rows.bytes(row, 1);
    view.key = rows.bytes(row, 2);
    view.callback = rows.bytes(row, 3);
    view.state = rows.as<State>(row, 4);
    view.priority = rows.as<std::int32_t>(row, 5);
    view.attempts_made = rows.as<std::uint32_t>(row, 6);
    view.attempts = rows.as<std::uint32_t>(row, 7);
    view.crashes = rows.as<std::uint32_t>(row, 8);
    view.created = rows.number(row, 9);
    view.run_at = rows.number(row, 10);
    view.started = rows.number(row, 11);
    view.ended = rows.number(row, 12);
    view.reason = rows.bytes(row, 13);
    view.progress = rows.bytes(row, 14);
    view.cancelling = rows.flag(row, 15);
    view.body_size = rows.as<std::uint64_t>(row, 16);
    return view;
}

void take_view(const PostgresRows& rows, Get& get) {
    if (rows.rows() == 0) return;
    constexpr int attempt = view_columns, result = view_columns + 5;
    get.answer.found = true;
    View& view = get.answer.job = view_of(rows, 0);
    view.history.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row) {
        if (rows.null(row, attempt)) continue;
        view.history.push_back({rows.as<std::uint32_t>(row, attempt), rows.number(row, attempt + 1),
                                rows.number(row, attempt + 2), rows.as<Ending>(row, attempt + 3),
                                rows.bytes(row, attempt + 4)});
    }
    if (rows.null(0, result)) return;
    view.result_type = rows.bytes(0, result);
    view.result_size = rows.as<std::uint64_t>(0, result + 1);
    view.result_cut = rows.flag(0, result + 2);
    if (!rows.null(0, result + 3)) view.result = rows.bytes(0, result + 3);
    view.result_status = rows.as<std::uint16_t>(0, result + 4);
    view.result_fields = rows.bytes(0, result + 5);
}

void take_list(const PostgresRows& rows, List& list) {
    const int limit = static_cast<int>(std::min(list.limit, listed_max));
    const int shown = std::min(rows.rows(), limit);
    list.answer.jobs.reserve(static_cast<std::size_t>(shown));
    for (int row = 0; row < shown; ++row) list.answer.jobs.push_back(view_of(rows, row));
    if (rows.rows() > limit && shown > 0)
        list.answer.next = std::to_string(rows.number(shown - 1, view_columns - 1));
}

void take_stats(const PostgresRows& rows, Stats& stats) {
    stats.answer.queues.reserve(static_cast<std::size_t>(rows.rows()));
    for (int row = 0; row < rows.rows(); ++row) {
        // what one part has lost another may have won: a sum that is not committed as a whole is never seen
        const auto count = [&](int column) {
            return static_cast<std::uint64_t>(std::max<std::int64_t>(rows.number(row, column), 0));
        };
        auto& queue = stats.answer.queues.emplace_back();
        queue.name = rows.bytes(row, 0);
        queue.paused = rows.flag(row, 1);
        queue.scheduled = count(2);
        queue.ready = count(3);
        queue.running = count(4);
        queue.done = count(5);
        queue.dead = count(6);
        queue.cancelled = count(7);
        queue.bytes = count(8);
        queue.oldest_ready = rows.number(row, 9);
        queue.next_scheduled = rows.number(row, 10);
    }
}

void take_recovered(const PostgresRows& rows, Recover& recover) {
    recover.answer = {.recovered = rows.as<std::uint64_t>(0, 0), .more = rows.flag(0, 1), .queues = {}};
    for (int row = 0; row < rows.rows(); ++row)
        if (!rows.null(row, 2))
            recover.answer.queues.push_back({rows.bytes(row, 2), rows.as<std::uint64_t>(row, 3)});
}

}  // namespace

void take_answers(const PostgresRows& rows, std::span<Operation> operations) {
    int row = 0;
    for (auto& operation : operations) {
        std::visit(
            TakeEach{
                [&](Enqueue& one) { take_enqueued(rows, row, one.answer); },
                [&](Fire& one) { take_enqueued(rows, row, one.enqueue.answer); },
                [&](Claim& one) { take_claimed(rows, one); },
                [&](Finish& one) {
                    if (row >= rows.rows()) return;
                    one.answer = {rows.flag(row, 0), rows.as<State>(row, 1)};
                },
                [&](Progress& one) {
                    if (row < rows.rows()) one.answer = {rows.flag(row, 0), rows.flag(row, 1)};
                },
                [&](Cancel& one) {
                    one.answer = {rows.as<Cancel::Answer::What>(0, 0), rows.number(0, 1), rows.bytes(0, 2)};
                },
                [&](Retry& one) {
                    one.answer = {rows.as<Retry::Answer::What>(0, 0), rows.bytes(0, 1)};
                },
                [&](Get& one) { take_view(rows, one); },
                [&](List& one) { take_list(rows, one); },
                [&](Purge& one) {
                    one.answer = {rows.as<std::uint64_t>(0, 0), rows.flag(0, 1)};
                },
                [&](Expire& one) {
                    one.answer = {rows.as<std::uint64_t>(0, 0), rows.flag(0, 1)};
                },
                [&](Recover& one) { take_recovered(rows, one); },
                [&](Stats& one) { take_stats(rows, one); },
                [&](LastFired& one) { one.answer.due = rows.number(0, 0); },
                [](Extend&) {},
                [](Pause&) {},
            },
            operation);
        ++row;
    }
}

}  // namespace worker::jobs
