// conf/queue_settings.cpp: the rows of [store] and [queue NAME].
#include "conf/http_types.h"
#include "conf/queue_types.h"
#include "conf/settings.h"
#include "conf/types.h"

namespace conf {

using namespace std::chrono_literals;

const Settings<Store>& store_settings() {
    static const Settings<Store> rows{
        scalar<Store>("url", &Store::url, StoreUrl{},
                      "where jobs are kept: sqlite:PATH, or postgresql://USER@HOST/DATABASE"),
        scalar<Store>("wal_max", &Store::wal_max, Size{1 << 20, 1024ull << 30},
                      "bytes of its write-ahead log, about, before it is folded into the file"),
        scalar<Store>("timeout", &Store::timeout, Time{100ms, 60s},
                      "how long a request waits for the store; then 503"),
        scalar<Store>("bodies_max", &Store::bodies_max, Size{64 << 10, 1024ull << 30},
                      "bytes of bodies that are on their way to jobs, in each loop; beyond: 503"),
        scalar<Store>("lease", &Store::lease, Time{1s, 1h},
                      "PostgreSQL: how long nothing is heard of a machine until its jobs run elsewhere"),
    };
    return rows;
}

const Settings<Queue>& queue_settings() {
    constexpr Milliseconds day = 24h;
    constexpr Time keeping{1s, 3650 * day};
    constexpr Size body{1, job_bytes_max};
    const auto of = [](auto member) { return in(&Queue::callbacks, member); };
    static const Settings<Queue> rows{
        scalar<Queue>("pool", &Queue::pool, SectionName{}, "the pool of processes that runs its jobs"),
        scalar<Queue>("upstream", &Queue::upstream, QueueUpstreamType{},
                      "`NAME /path`: the upstream that runs them, by POST"),
        scalar<Queue>("function", &Queue::function, SectionName{},
                      "the job function of the pool's module that runs them; unset: its handler is asked"),
        scalar<Queue>(
            "script", &Queue::script, Path{},
            "what FastCGI programs of the pool run, PHP above all: SCRIPT_FILENAME; unset: themselves"),
        scalar<Queue>("concurrency", &Queue::concurrency, Number<std::uint32_t>{1, 10'000},
                      "jobs that run at once"),
        scalar<Queue>("key_concurrency", &Queue::key_concurrency, Number<std::uint32_t>{0, 10'000},
                      "of these with the same Job-Key; 0: any number"),
        scalar<Queue>("attempts", &Queue::attempts, Number<std::uint32_t>{1, 1000},
                      "how often a job is tried; then it is dead"),
        scalar<Queue>("backoff", &Queue::backoff, BackOffType{},
                      "how long a job that failed waits: twice as long each time, within these, at random"),
        scalar<Queue>("timeout", &Queue::timeout, Time{10ms, day}, "how long an attempt may take"),
        scalar<Queue>("retention", &Queue::retention, keeping, "how long a job is kept that is over"),
        scalar<Queue>("dead_retention", &Queue::dead_retention, keeping, "how long one that is dead"),
        scalar<Queue>("size_max", &Queue::size_max, QueueSizeType{},
                      "jobs that are not over, and bytes of their bodies; beyond: 503"),
        scalar<Queue>("job_size_max", &Queue::job_size_max, body, "bytes of a job's body; beyond: 413"),
        scalar<Queue>("result_max", &Queue::result_max, Size{0, job_bytes_max},
                      "bytes of a result; what is longer is cut off"),
        scalar<Queue>("idempotency", &Queue::idempotency, keeping, "how long an Idempotency-Key is known"),
        scalar<Queue>("idempotency_required", &Queue::idempotency_required, Switch{},
                      "on: a request without an Idempotency-Key is 400"),
        scalar<Queue>("rate", &Queue::rate, Number<std::uint32_t>{0, 1'000'000},
                      "jobs that are begun in a second; 0: any number"),
        scalar<Queue>("priority", &Queue::priority, PriorityType{},
                      "of jobs that say none, -100 to 100; larger ones first"),
        list<Queue>("callbacks", of(&QueueCallbacks::urls), CallbackUrls{},
                    "how URLs begin that a Job-Callback may name: http://HOST:PORT/path/; unset: none may"),
        scalar<Queue>("callback_upstream", of(&QueueCallbacks::upstream), SectionName{},
                      "the upstream whose peers are asked for these URLs, whatever their host resolves to"),
        scalar<Queue>("callback_secret", of(&QueueCallbacks::secret), SigningSecret{},
                      "what Reeve-Signature is made with: 16 to 256 characters"),
        scalar<Queue>("callback_attempts", of(&QueueCallbacks::attempts), Number<std::uint32_t>{1, 1000},
                      "how often it is tried to tell of an end"),
        scalar<Queue>("callback_backoff", of(&QueueCallbacks::backoff), BackOffType{},
                      "how long that waits when it failed, as backoff"),
        scalar<Queue>("callback_timeout", of(&QueueCallbacks::timeout), Time{10ms, 1h},
                      "how long one try may take"),
        scalar<Queue>("callback_concurrency", of(&QueueCallbacks::concurrency),
                      Number<std::uint32_t>{1, 10'000}, "how many are told at once"),
    };
    return rows;
}

}  // namespace conf
