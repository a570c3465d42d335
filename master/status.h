// master/status.h: what `reeve status` tells, as values and as text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipc/pool_table.h"
#include "ipc/upstream_report.h"
#include "master/listeners.h"
#include "master/process_memory.h"
#include "master/process_usage.h"
#include "master/supervisor.h"

namespace master {

struct MasterStatus {
    int pid = 0;
    std::string state;
    std::string config;  ///< path of the file
    std::uint32_t generation = 1;
    std::uint64_t age_ms = 0;
    std::uint64_t reloads = 0, reload_failures = 0, upgrades = 0;
    ipc::Totals totals;                                            ///< of all workers that ever were
    std::array<std::uint64_t, ipc::Histogram::buckets> latency{};  ///< of all requests that ever were
    ProcessUsage usage;
    std::optional<ProcessMemory> memory;  ///< as all `memory` here: none unless `look_at_memory` was called
};

/// One loop or thread of a worker.
struct ExecutorStatus {
    std::string kind;
    std::uint32_t number = 0;
    std::uint64_t connections = 0, requests = 0, waiting = 0, busy = 0;
    std::optional<std::uint64_t> heartbeat_age_ms;
    std::string in_flight;
};

struct WorkerStatus {
    std::uint32_t slot = 0;
    int pid = 0;  ///< 0: no process
    std::string state;
    std::uint32_t generation = 1;
    std::uint64_t age_ms = 0;
    std::uint32_t restarts = 0;
    std::uint64_t connections = 0;
    std::uint64_t waiting = 0;  ///< connections or requests, for a place or a thread
    ipc::Totals totals;         ///< since its seat was taken; statuses[0]: closed without an answer
    std::optional<std::uint64_t> heartbeat_age_ms;         ///< of the loop whose is the oldest
    std::string in_flight;                                 ///< empty: none
    std::uint64_t buffered_memory = 0, buffered_file = 0;  ///< bytes of bodies
    ProcessUsage usage;
    std::optional<ProcessMemory> memory;
    std::vector<ExecutorStatus> executors;  ///< where there are several
};

struct ListenerStatus {
    std::string address, accept;
    std::uint32_t backlog = 0;
    std::optional<std::uint32_t> pending;  ///< connections that wait for an accept
    std::vector<std::uint32_t> slots;      ///< slots that listen on a socket of their own
};

/// Of a process beside the workers of its generation.
struct CompanionStatus {
    std::uint32_t generation = 1;
    int pid = 0;  ///< 0: no process
    std::uint32_t restarts = 0;
    std::optional<ProcessMemory> memory{};
};

/// Of the store of jobs.
struct JobsStatus {
    std::uint64_t unable_ms = 0;  ///< for how long nothing could be stored; 0: it is able
    std::string why;
    std::uint64_t keeper_pid = 0;  ///< of the one that has it; 0: none
    std::uint64_t commits = 0, failures = 0, overflows = 0, wal_bytes = 0;  ///< see ipc::JobsCell
};

struct PoolStatus {
    std::uint32_t generation = 1;
    ipc::PoolReport report;
    std::vector<ProcessUsage> usage;                     ///< by member
    std::vector<std::optional<ProcessMemory>> memory{};  ///< likewise, or empty
};

struct Status {
    MasterStatus master;
    std::vector<WorkerStatus> workers;
    std::vector<CompanionStatus> sentinels;
    std::vector<CompanionStatus> preloaders;
    std::vector<CompanionStatus> keepers;
    std::optional<JobsStatus> jobs;  ///< none: there are no queues
    std::vector<ListenerStatus> listeners;
    std::vector<PoolStatus> pools;
    std::vector<ipc::UpstreamReport> upstreams;
    std::vector<ipc::NameReport> names;
    std::vector<ipc::PeerReport> peers;
};

/// `now`: CLOCK_MONOTONIC in ms.
[[nodiscard]] std::vector<WorkerStatus> worker_statuses(const Supervisor& supervisor,
                                                        const ipc::Scoreboard& board, std::uint64_t now);
[[nodiscard]] std::vector<ListenerStatus> listener_statuses(const Listeners& listeners,
                                                            std::uint32_t queues = 1);

[[nodiscard]] std::vector<PoolStatus> pool_statuses(const ipc::PoolTable& table, std::uint32_t generation,
                                                    std::uint64_t now);

/// `now_unix_ms`: since 1970.
[[nodiscard]] JobsStatus jobs_status(const ipc::JobsCell& jobs, std::uint64_t now_unix_ms);

[[nodiscard]] std::string status_text(const Status& status);
[[nodiscard]] std::string status_json(const Status& status);

}  // namespace master
