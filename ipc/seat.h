// ipc/seat.h: what the master hands a worker at birth; all they share afterwards is messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipc/channel.h"
#include "ipc/member_vitals.h"
#include "ipc/pool_table.h"
#include "ipc/scoreboard.h"
#include "ipc/unique_fd.h"

namespace ipc {

/// One listening socket that a worker may accept from.
struct SeatListener {
    UniqueFd socket;
    std::uint32_t address = 0;  ///< index into `conf::listen_plan`
    std::uint32_t queue = 0;    ///< number of the socket, over all workers: see `Adopt`
    std::uint32_t loop = 0;     ///< which of the worker's loops it is for
    bool adopted = false;       ///< of a queue that is not ours: until `Release`
    /// How to accept. False: the socket is non-blocking, put it into the loop; with `reuseport` it is ours
    /// alone, a Unix socket is every worker's (so accept until EAGAIN, or one at a time). True (`shared`):
    /// all workers have this very socket and it blocks, so that one thread a worker waits in accept4() and
    /// each connection wakes exactly one of them. It must never be made non-blocking: that would hold for
    /// everyone.
    bool blocking = false;
};

/// Where somebody counts: a loop or a thread of a worker.
struct Desk {
    std::uint32_t slot = 0;
    WorkerCell* cell = nullptr;        ///< ours; lives longer than the worker
    Scoreboard* scoreboard = nullptr;  ///< everyone's, to show
};

/// A worker's place: slot, generation, sockets, channel. The worker owns all of it. `cell` is of the loop
/// that hears the master.
struct Seat : Desk {
    std::uint32_t generation = 1;
    std::uint32_t workers = 1;     ///< how many there are
    bool started = false;          ///< the generation was ready before: a worker that lacks something
                                   ///< is better than none
    int master_pid = 0;            ///< to notice a master that died before PDEATHSIG was set
    std::uint64_t started_ms = 0;  ///< CLOCK_MONOTONIC when the master started
    std::vector<SeatListener> listeners;
    std::vector<UniqueFd> access_logs;  ///< one a distinct path, in order of `conf::access_log_paths`
    Channel channel{UniqueFd()};
    int log_level = 2;                     ///< spdlog's number; may differ from what the configuration says
    UniqueFd config;                       ///< a sealed file: the configuration as `conf::dump` writes it
    std::uint32_t loops = 1, threads = 0;  ///< that it shall have, as in conf::Crew
    std::vector<WorkerCell*> crew;         ///< of each of its loops and threads, by number; [0] is `cell`
    PoolTable* pools = nullptr;  ///< of its generation, where it has pools; in the order of `conf::Config`
    CompanionVitals* vitals = nullptr;  ///< of a sentinel or keeper, as the loop in `cell` of a worker
    std::uint32_t term = 0;             ///< of a sentinel: its number for `HealthLease`
    UniqueFd keeper_address;  ///< O_PATH, of the socket of keepers: where jobs go; none: there are no jobs
    UniqueFd keeper_socket;   ///< of a keeper: that socket; it listens, and does not block
};

/// What a process of a pool is handed that serves FastCGI by our own code.
struct PoolSeat {
    UniqueFd listener;               ///< blocking; it has it alone
    UniqueFd config;                 ///< as in `Seat`
    std::string pool;                ///< its name
    int master_pid = 0;              ///< as in `Seat`
    MemberVitals* vitals = nullptr;  ///< of one that runs a module; null: nobody watches
};

}  // namespace ipc
