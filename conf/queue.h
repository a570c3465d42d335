// conf/queue.h: [store] and [queue NAME]: jobs that are kept, and who runs them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conf {

/// [store]: where jobs are kept. Means something only where there is a queue.
struct Store {
    /// `sqlite:` and an absolute path, or `postgresql://` as libpq reads it.
    std::string url = "sqlite:/var/lib/reeve/jobs.db";
    std::uint64_t wal_max = 64ull << 20;       ///< bytes of the write-ahead log, about
    std::chrono::milliseconds timeout{5'000};  ///< until who asks hears that the store cannot be had
    std::uint64_t bodies_max = 160ull << 20;   ///< bytes of bodies on their way to it, in each loop
    /// Of a store that several machines share: how long nothing is heard of one until its jobs run elsewhere.
    std::chrono::milliseconds lease{30'000};
    bool operator==(const Store&) const = default;

    /// The path of a `sqlite:` URL; empty for another one.
    [[nodiscard]] std::string path() const;
    /// Several machines may have it: PostgreSQL.
    [[nodiscard]] bool shared() const noexcept;
};

/// `upstream = NAME /path`.
struct QueueUpstream {
    std::string name;  ///< empty: none
    std::string path;  ///< what its peers are asked for, with a query, maybe
    bool operator==(const QueueUpstream&) const = default;
};

/// `backoff = 1s..1h`: how long a job that failed waits: doubled each time, within these, at random below.
struct BackOff {
    std::chrono::milliseconds min{1'000}, max{3'600'000};
    bool operator==(const BackOff&) const = default;
};

/// `size_max = 100000 1g`: of jobs that are not over.
struct QueueSize {
    std::uint64_t jobs = 100'000;
    std::uint64_t bytes = 1ull << 30;  ///< of their bodies
    bool operator==(const QueueSize&) const = default;
};

/// Bytes of a job's body, and of its result, at most: what the keeper's frames have room for.
constexpr std::uint64_t job_bytes_max = 64ull << 20;

/// `callbacks` and `callback_...`: who is told of the ends of jobs; see conf/callbacks.h.
struct QueueCallbacks {
    std::vector<std::string> urls;  ///< how a Job-Callback may begin; none: nobody is told
    std::string upstream;           ///< its peers are asked, whatever the host of the URL resolves to
    std::string secret;             ///< of the signature
    std::uint32_t attempts = 15;    ///< then it is dead that somebody is to be told
    BackOff backoff{std::chrono::milliseconds(5'000), std::chrono::milliseconds(3'600'000)};
    std::chrono::milliseconds timeout{10'000};  ///< of an attempt
    std::uint32_t concurrency = 16;             ///< so many are told at once
    bool operator==(const QueueCallbacks&) const = default;
};

/// [queue NAME]: exactly one of `pool` and `upstream`.
struct Queue {
    std::string name;
    std::string pool;        ///< of processes; empty: none
    QueueUpstream upstream;  ///< asked by HTTP
    std::string function;    ///< of the pool's module: it runs jobs; empty: they are requests to its handler
    std::string script;      ///< absolute: what FastCGI programs of the pool run; empty: themselves
    std::uint32_t concurrency = 4;      ///< jobs that run at once
    std::uint32_t key_concurrency = 0;  ///< of them with the same key; 0: any number
    std::uint32_t attempts = 10;        ///< then a job is dead
    BackOff backoff;
    std::chrono::milliseconds timeout{60'000};                     ///< of an attempt
    std::chrono::milliseconds retention{24 * 3'600'000};           ///< how long jobs are kept that are over
    std::chrono::milliseconds dead_retention{7 * 24 * 3'600'000};  ///< those that are dead
    QueueSize size_max;
    std::uint64_t job_size_max = 1ull << 20;                ///< bytes of a job's body
    std::uint64_t result_max = 1ull << 20;                  ///< bytes of its result
    std::chrono::milliseconds idempotency{24 * 3'600'000};  ///< how long an Idempotency-Key is known
    bool idempotency_required = false;
    std::uint32_t rate = 0;     ///< starts a second; 0: any number
    std::int32_t priority = 0;  ///< of jobs that say none
    QueueCallbacks callbacks;
    /// Made for the callbacks of another one: it stands in no file, and nobody can ask for a job of it.
    bool internal = false;
    bool operator==(const Queue&) const = default;
};

constexpr std::size_t queues_max = 64;
constexpr std::int32_t job_priority_max = 100;  ///< and its negative the least

/// `jobs = on` and what belongs to it; also of `enqueue`.
struct JobsAccess {
    std::string token;               ///< that clients must bear; empty: none need
    std::vector<std::string> allow;  ///< addresses and networks, as written, or `all`; empty: not said
    bool operator==(const JobsAccess&) const = default;
};

/// `async = QUEUE` and what belongs to it, of `proxy` and `pool`.
struct AsyncRequests {
    std::string queue;         ///< its name; empty: requests are answered when they are done
    bool credentials = false;  ///< requests that bear some may be stored
    bool operator==(const AsyncRequests&) const = default;
};

/// `allow = all`, alone.
constexpr std::string_view everybody = "all";

/// Whether a numeric address is in `10.0.0.0/8`, or is `::1`, or is one of all; what cannot be read is in
/// none.
[[nodiscard]] bool is_in_network(std::string_view address, std::string_view network) noexcept;

}  // namespace conf
