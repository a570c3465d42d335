// ipc/jobs_cells.h: what is known of queues and of the store of jobs, on the scoreboard.
#pragma once

#include <array>
#include <cstddef>

#include "ipc/counter.h"
#include "ipc/histogram.h"
#include "ipc/shared_text.h"

namespace ipc {

constexpr std::size_t job_queues_max = 256;  ///< distinct names of queues that are counted apart
constexpr std::size_t job_endings = 8;       ///< as worker::jobs::Ending

/// Written by the keeper that has the store, so by one process at a time. What is not a gauge only grows.
struct alignas(64) JobQueueCell {
    SharedText<64> name;
    Counter scheduled, ready, running, done, dead, cancelled;  ///< gauges: jobs in the store
    Counter bytes;                                             ///< gauge: bodies of those that are not over
    Counter oldest_ready_ms;                                   ///< gauge: since 1970; 0: there is none
    Counter paused;                                            ///< gauge: 1 or 0
    Counter created, existing, mismatch, full;                 ///< what came of those who asked for a job
    std::array<Counter, job_endings> attempts;                 ///< by how they ended
    Histogram waited;                                          ///< from when a job was due to its start
};

constexpr std::size_t job_schedules_max = 256;  ///< distinct names of schedules that are counted apart

/// As above, of one schedule.
struct alignas(64) JobScheduleCell {
    SharedText<64> name;
    Counter last_ms;  ///< gauge: the last run that was stored, when it was due, since 1970; 0: none yet
    Counter next_ms;  ///< gauge: when the next one is due; 0: never, or it is not configured any more
    Counter runs;     ///< that were stored
    Counter missed;   ///< whose time passed, and which never run
};

/// As above.
struct JobsCell {
    Counter healthy;          ///< gauge: 1: what was to be stored last is stored
    Counter unable_since_ms;  ///< gauge: since 1970, from when on nothing is stored; 0: the store is able
    SharedText<192> unable_why;
    Counter pid;                ///< gauge: of the keeper that has the store; 0: none
    Counter commits, failures;  ///< batches that were stored, or were not
    Counter operations;         ///< in those that were stored
    Counter overflows;          ///< operations that found no room before the store
    Counter clients_dropped;    ///< clients that did not take their answers, or made no sense
    Counter strays;             ///< gauge: jobs that are not over, of queues that are not configured
    Counter syncs, wal_bytes, dead_rows, oldest_transaction_ms;  ///< as worker::jobs::StoreFigures
    Histogram commit;                                            ///< how long a batch took
    Histogram enqueue;    ///< from when a job was asked for to the answer, in the keeper
    Histogram claim;      ///< from when jobs to run were asked for to the answer, likewise
    SizeHistogram batch;  ///< operations in those that were stored
};

}  // namespace ipc
