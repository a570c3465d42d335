#include "worker/handler/job_metrics.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "worker/handler/job_json.h"

namespace worker::handler {
namespace {

using Cell = ipc::JobQueueCell;

std::string queue_label(const Cell& cell) { return "queue=\"" + escaped_label(cell.name.get()) + "\""; }

template <class Visit>
void for_queues(const ipc::Scoreboard& board, const Visit& visit) {
    for (std::uint32_t index = 1; index < board.job_queues_used(); ++index)
        visit(board.job_queue_cell(index));
}

void add_queues(MetricsText& text, const ipc::Scoreboard& board, std::int64_t now_unix_us) {
    constexpr std::array<std::pair<std::string_view, ipc::Counter Cell::*>, 6> states{
        {{"scheduled", &Cell::scheduled},
         {"ready", &Cell::ready},
         {"running", &Cell::running},
         {"done", &Cell::done},
         {"dead", &Cell::dead},
         {"cancelled", &Cell::cancelled}}};
    text.family("reeve_jobs", "gauge", "Jobs in the store, by queue and state.");
    for_queues(board, [&](const Cell& cell) {
        for (const auto& [name, counter] : states)
            text.sample(fmt::format("{},state=\"{}\"", queue_label(cell), name), (cell.*counter).get());
    });
    text.family("reeve_jobs_bytes", "gauge", "Bytes of the bodies of jobs that are not over.");
    for_queues(board, [&](const Cell& cell) { text.sample(queue_label(cell), cell.bytes.get()); });
    text.family("reeve_jobs_oldest_ready_seconds", "gauge", "For how long the oldest ready job is due.");
    for_queues(board, [&](const Cell& cell) {
        const auto oldest = static_cast<std::int64_t>(cell.oldest_ready_ms.get());
        const auto age_ms = oldest == 0 ? 0 : std::max<std::int64_t>(now_unix_us / 1000 - oldest, 0);
        text.sample(queue_label(cell), static_cast<double>(age_ms) / 1000);
    });
    text.family("reeve_jobs_paused", "gauge", "1: the queue takes jobs and runs none.");
    for_queues(board, [&](const Cell& cell) { text.sample(queue_label(cell), cell.paused.get()); });
}

void add_flows(MetricsText& text, const ipc::Scoreboard& board) {
    constexpr std::array<std::pair<std::string_view, ipc::Counter Cell::*>, 4> outcomes{
        {{"created", &Cell::created},
         {"existing", &Cell::existing},
         {"mismatch", &Cell::mismatch},
         {"full", &Cell::full}}};
    text.family("reeve_jobs_enqueued_total", "counter", "What came of requests for jobs, by queue.");
    for_queues(board, [&](const Cell& cell) {
        for (const auto& [name, counter] : outcomes)
            text.sample(fmt::format("{},outcome=\"{}\"", queue_label(cell), name), (cell.*counter).get());
    });
    text.family("reeve_jobs_attempts_total", "counter", "Attempts, by queue and how they ended.");
    for_queues(board, [&](const Cell& cell) {
        for (std::size_t ending = 0; ending < cell.attempts.size(); ++ending)
            text.sample(fmt::format("{},ending=\"{}\"", queue_label(cell),
                                    ending_name(static_cast<jobs::Ending>(ending))),
                        cell.attempts.at(ending).get());
    });
    text.family("reeve_jobs_wait_seconds", "histogram", "From when a job was due to its start.");
    for_queues(board, [&](const Cell& cell) {
        HistogramSum sum;
        sum.add(cell.waited);
        text.histogram(queue_label(cell), sum);
    });
}

void add_schedules(MetricsText& text, const ipc::Scoreboard& board) {
    if (board.job_schedules_used() <= 1) return;
    const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                         const auto& value) {
        text.family(name, type, help);
        for (std::uint32_t index = 1; index < board.job_schedules_used(); ++index) {
            const auto& cell = board.job_schedule_cell(index);
            text.sample("schedule=\"" + escaped_label(cell.name.get()) + "\"", value(cell));
        }
    };
    using Schedule = ipc::JobScheduleCell;
    add("reeve_jobs_schedule_last_run_timestamp_seconds", "gauge",
        "When the last run that is stored was due; 0: there was none.",
        [](const Schedule& cell) { return static_cast<double>(cell.last_ms.get()) / 1000; });
    add("reeve_jobs_schedule_next_run_timestamp_seconds", "gauge", "When the next run is due; 0: never.",
        [](const Schedule& cell) { return static_cast<double>(cell.next_ms.get()) / 1000; });
    add("reeve_jobs_schedule_runs_total", "counter", "Runs that became jobs.",
        [](const Schedule& cell) { return cell.runs.get(); });
    add("reeve_jobs_schedule_missed_total", "counter", "Runs whose time passed, and which never became jobs.",
        [](const Schedule& cell) { return cell.missed.get(); });
}

void add_store(MetricsText& text, const ipc::JobsCell& jobs, std::int64_t now_unix_us) {
    text.single("reeve_jobs_store_up", "gauge", "1: a keeper has the store, and its last batch is stored.",
                jobs.pid.get() != 0 && jobs.healthy.get() != 0 ? 1 : 0);
    text.single("reeve_jobs_unconfigured", "gauge",
                "Jobs that are not over, of queues that are not configured: nobody runs them.",
                jobs.strays.get());
    const auto since_ms = static_cast<std::int64_t>(jobs.unable_since_ms.get());
    const auto unable_ms = since_ms == 0 ? 0 : std::max<std::int64_t>(now_unix_us / 1000 - since_ms, 1);
    text.single("reeve_jobs_store_unable_seconds", "gauge",
                "For how long nothing could be stored; 0: the store is able.",
                static_cast<double>(unable_ms) / 1000);
    text.single("reeve_jobs_commits_total", "counter", "Batches that were stored.", jobs.commits.get());
    text.single("reeve_jobs_commit_failures_total", "counter", "Batches that were not.", jobs.failures.get());
    text.single("reeve_jobs_operations_total", "counter", "Operations in batches that were stored.",
                jobs.operations.get());
    text.single("reeve_jobs_overflows_total", "counter", "Operations that found no room before the store.",
                jobs.overflows.get());
    text.single("reeve_jobs_clients_dropped_total", "counter",
                "Clients of the keeper that took no answers or made no sense.", jobs.clients_dropped.get());
    text.single("reeve_jobs_syncs_total", "counter", "Syncs of the keeper's store since it was opened.",
                jobs.syncs.get());
    text.single("reeve_jobs_wal_bytes", "gauge", "Bytes of the write-ahead log.", jobs.wal_bytes.get());
    text.single("reeve_jobs_dead_rows", "gauge", "PostgreSQL: rows that wait for a vacuum.",
                jobs.dead_rows.get());
    text.single("reeve_jobs_oldest_transaction_seconds", "gauge",
                "PostgreSQL: age of the oldest open transaction, which keeps dead rows from going.",
                jobs.oldest_transaction_ms.get() / 1000);
    const auto histogram = [&](std::string_view name, std::string_view help, const ipc::Histogram& values) {
        text.family(name, "histogram", help);
        HistogramSum sum;
        sum.add(values);
        text.histogram({}, sum);
    };
    histogram("reeve_jobs_commit_seconds", "How long a batch took.", jobs.commit);
    histogram("reeve_jobs_enqueue_seconds", "From a job's arrival at the keeper to the answer.",
              jobs.enqueue);
    histogram("reeve_jobs_claim_seconds", "From when jobs to run were asked for to the answer.", jobs.claim);
    text.family("reeve_jobs_batch_operations", "histogram", "Operations in a batch that was stored.");
    text.histogram({}, jobs.batch);
}

}  // namespace

void add_job_metrics(MetricsText& text, const ipc::Scoreboard& board, std::int64_t now_unix_us) {
    if (board.job_queues_used() <= 1) return;
    add_queues(text, board, now_unix_us);
    add_flows(text, board);
    add_schedules(text, board);
    add_store(text, board.jobs(), now_unix_us);
}

}  // namespace worker::handler
