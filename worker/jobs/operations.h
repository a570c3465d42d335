// worker/jobs/operations.h: what can be asked of a store: a struct each, its answer inside.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "worker/jobs/job.h"

namespace worker::jobs {

/// Bodies that one `Claim` gives out: all of them are read in one batch, and held by whoever runs them.
constexpr std::uint64_t claimed_bytes_max = 8u << 20;
/// What one `Purge` or `Expire` deletes, so that no batch takes long.
constexpr std::uint64_t removed_bytes_max = 16u << 20;

/// Header lines of an answer that are kept with a result.
constexpr std::size_t result_fields_max = 8u << 10;
/// What is kept of a request that is a job, beside its body.
constexpr std::size_t request_bytes_max = 64u << 10;

/// What one `Recover` gives back, likewise.
constexpr std::uint32_t recovered_max = 1000;

/// Jobs of one `List`.
constexpr std::uint32_t listed_max = 1000;

/// What a queue holds at most; beyond it a job is refused. 0: no bound.
struct Room {
    std::uint64_t jobs = 0, bytes = 0;  ///< scheduled, ready and running ones
};

struct Enqueue {
    NewJob job;
    Room room;
    struct Answer {
        enum class What : std::uint8_t {
            created,
            existing,  ///< the same id, idempotency key or `unique` is there: `id` is its. What its key
                       ///< remembers may have been over for so long that it is deleted: state `done`
            mismatch,  ///< that idempotency key came with another fingerprint (422)
            full,      ///< 503
            in_flight  ///< by the keeper, never by a store: the first with that idempotency key is not stored
                       ///< yet (409)
        } what = What::created;
        std::string id;
        State state = State::ready;
    } answer;
};

/// The oldest ready ones of a queue, by priority, run_at and the order they came in; those whose time has
/// come count as ready. No more of them than have `claimed_bytes_max` together, but for one.
struct Claim {
    std::string queue, owner;  ///< owner: who runs them, see `Recover`
    std::uint32_t count = 1;
    std::uint32_t key_concurrency = 0;  ///< at most so many running ones with the same key; 0: no bound
    /// At most so many running ones of the queue at owners of this machine (`owner_name.h`); 0: no bound.
    std::uint32_t running_max = 0;
    UnixMs lease_until = 0;
    struct Answer {
        std::vector<Claimed> jobs;
        /// `running_max` was in the way: there may be more once one of those that run has ended.
        bool held = false;
        /// When to ask again though nothing else happens: when the next scheduled one is due; 0: there is
        /// none. Not after `now`: the work of one claim is bounded, and more was to be done than that; ask
        /// again at once if there is room to run one.
        UnixMs next = 0;
    } answer;
};

/// Owners say that they live; leases matter where several machines share a store.
struct Extend {
    std::string owner;
    UnixMs lease_until = 0;
};

/// The end of an attempt. Said again (as the answer was lost) it is accepted again, and changes nothing.
/// Where somebody wants the job cancelled, whatever is not `done` makes it cancelled.
struct Finish {
    std::string id;
    std::int64_t fence = 0;
    Ending ending = Ending::done;
    std::string error;
    std::string result_type, result;  ///< of `done`
    bool result_cut = false;          ///< it is the beginning of a longer one
    std::uint16_t result_status = 0;  ///< of a job that is a request; 0: it is none
    std::string result_fields;        ///< likewise: lines, at most `result_fields_max`
    UnixMs again_at = 0;  ///< of `failed` and `timed_out`: when to try again, if any attempt is left
    std::uint32_t crashes_max = 3;
    struct Answer {
        bool accepted = false;  ///< false: the fence is old, or the job unknown; nothing was changed
        State state = State::done;
    } answer;
};

/// What a handler says while it runs.
struct Progress {
    std::string id;
    std::int64_t fence = 0;
    std::string text;  ///< at most 1 KiB
    struct Answer {
        bool accepted = false, cancelling = false;
    } answer;
};

/// A running job is only marked; who runs it ends it with `Ending::cancelled`.
struct Cancel {
    std::string id;
    struct Answer {
        enum class What : std::uint8_t { cancelled, running, over, unknown } what = What::unknown;
        std::int64_t fence = 0;  ///< of the running one
        std::string owner;
    } answer;
};

/// A dead or cancelled one again, with its history kept, its attempts counted anew; or a scheduled one now.
struct Retry {
    std::string id;
    struct Answer {
        enum class What : std::uint8_t {
            ready,
            not_over,      ///< it is ready or runs
            done,          ///< there is nothing to retry
            unique_taken,  ///< by another job that is not over
            unknown
        } what = What::unknown;
        std::string queue;
    } answer;
};

/// Where its result is asked for, one that has more than `room` bytes is not told, but its size is: who wants
/// it asks again, with so much room. So whoever answers knows beforehand what an answer may cost.
struct Get {
    std::string id;
    bool with_result = false;
    std::uint64_t room = 64 * 1024;
    struct Answer {
        bool found = false;
        View job;
    } answer;
};

struct List {
    std::string queue;          ///< empty: all
    std::vector<State> states;  ///< empty: all
    std::string after;          ///< `next` of the answer before; empty: from the newest
    std::uint32_t limit = 50;   ///< at most `listed_max`
    struct Answer {
        std::vector<View> jobs;  ///< newest first; without history and result
        std::string next;        ///< where to go on; empty: that was all
    } answer;
};

/// A paused queue takes jobs and runs none; kept over restarts.
struct Pause {
    std::string queue;
    bool paused = true;
};

/// Deletes jobs that are not running; at most 1000 at once, and no more than have `removed_bytes_max` of
/// bodies and results together, but for one.
struct Purge {
    std::string queue;
    std::vector<State> states;  ///< `running` is left out; empty: all others
    UnixMs before = 0;          ///< created before; 0: all
    struct Answer {
        std::uint64_t purged = 0;
        bool more = false;
    } answer;
};

/// Deletes what is over for longer than its queue keeps it, and idempotency keys whose time is over; bounded
/// as `Purge` is.
struct Expire {
    struct Keep {
        std::string queue;
        UnixMs ended_before = 0;  ///< done and cancelled ones
        UnixMs dead_before = 0;
    };
    std::vector<Keep> queues;
    struct Answer {
        std::uint64_t expired = 0;
        bool more = false;
    } answer;
};

/// Jobs that run at owners who are no more: ready again, their attempt `lost`. Of one machine: all whose
/// owner is not among `alive`; with leases: also those whose lease is over. At most `recovered_max` at once.
struct Recover {
    std::vector<std::string> alive;
    bool by_lease = false;  ///< then only those whose lease is over, whoever their owner
    struct Lost {
        std::string queue;
        std::uint64_t jobs = 0;
    };
    struct Answer {
        std::uint64_t recovered = 0;
        bool more = false;
        std::vector<Lost> queues;  ///< of which they are; a queue may come more than once
    } answer;
};

/// Read from counters that are kept with each change, never by counting rows.
struct Stats {
    struct Queue {
        std::string name;
        bool paused = false;
        std::uint64_t scheduled = 0, ready = 0, running = 0, done = 0, dead = 0, cancelled = 0;
        std::uint64_t bytes = 0;  ///< of bodies that are not over
        /// Its run_at; 0: there is none. Not of those that wait for a job with the same key to end.
        UnixMs oldest_ready = 0;
        UnixMs next_scheduled = 0;  ///< 0: there is none
    };
    struct Answer {
        std::vector<Queue> queues;
    } answer;
};

/// A run of a schedule, unique by (schedule, run_at): a second one is `existing`.
struct Fire {
    std::string schedule;
    UnixMs due = 0;
    Enqueue enqueue;
};
/// The last run of a schedule.
struct LastFired {
    std::string schedule;
    struct Answer {
        UnixMs due = 0;  ///< 0: never
    } answer;
};

/// It changes nothing.
template <class One>
inline constexpr bool only_reads_v = std::is_same_v<One, Get> || std::is_same_v<One, List> ||
                                     std::is_same_v<One, Stats> || std::is_same_v<One, LastFired>;

using Operation = std::variant<Enqueue, Claim, Extend, Finish, Progress, Cancel, Retry, Get, List, Pause,
                               Purge, Expire, Recover, Stats, Fire, LastFired>;

[[nodiscard]] inline bool only_reads(const Operation& operation) noexcept {
    return std::visit([](const auto& one) { return only_reads_v<std::decay_t<decltype(one)>>; }, operation);
}

}  // namespace worker::jobs
