// worker/jobs/job.h: what a job is, to whoever stores it, runs it or shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace worker::jobs {

/// Milliseconds since 1970, by the clock of who owns the store.
using UnixMs = std::int64_t;

/// scheduled ──time──▶ ready ──claim──▶ running ──▶ done
///     ▲                 ▲                │ ├─cancel─▶ cancelled
///     └──── backoff ────┴── given back ──┘ └─attempts spent, permanent, crashes─▶ dead ──retry──▶ ready
enum class State : std::uint8_t { scheduled, ready, running, done, dead, cancelled };

/// It runs no more, unless somebody wants it again.
[[nodiscard]] constexpr bool is_over(State state) noexcept { return state >= State::done; }

/// How an attempt ended.
enum class Ending : std::uint8_t {
    done,       ///< 2xx
    failed,     ///< tried again after a while, unless its attempts are spent
    permanent,  ///< the handler says that trying again is of no use: dead
    crashed,  ///< its process died under it: tried again at once, unless its attempts are spent; three: dead
    timed_out,  ///< like `failed`
    released,   ///< given back, as if it had never been claimed: no attempt is spent, none is in the history
    cancelled,  ///< by somebody's wish
    lost        ///< nobody knows: whoever ran it is gone. Ready again at once, and counts as an attempt
};

struct Attempt {
    std::uint32_t number = 0;  ///< from 1; goes on counting when a dead job is retried
    UnixMs started = 0, ended = 0;
    Ending ending = Ending::done;
    std::string error;  ///< at most 1 KiB
};

/// What somebody asks for. Identifiers are made by who asks (UUID version 7, RFC 9562 5.7, as text), so that
/// asking again after a lost answer is harmless.
struct NewJob {
    std::string id;
    std::string queue;
    std::string content_type;
    std::string body;
    UnixMs run_at = 0;          ///< 0: at once
    std::int32_t priority = 0;  ///< larger ones first; -100 to 100
    /// At most so many, however they end; 0: the queue's, which the keeper puts in before it is stored (to
    /// the store 0 is: no bound).
    std::uint32_t attempts = 0;
    std::string key;              ///< of `key_concurrency`; empty: none
    std::string unique;           ///< only one job of the queue that is not over has it; empty: none
    std::string idempotency_key;  ///< scoped to the queue; empty: none
    std::string fingerprint;      ///< of the request that came with that key
    UnixMs idempotency_until = 0;
    std::string callback;  ///< URL; empty: none
    std::string trace;     ///< traceparent of who asked; empty: none
    std::string request;   ///< what is asked of who does it, see StoredRequest; empty: a plain POST
};

/// One that is to run now. The fence grows with every claim; who ends an attempt says it, and is refused when
/// it is not the last one given out.
struct Claimed {
    std::string id, queue, content_type, body, key, callback, trace, request;
    std::int64_t fence = 0;
    std::uint32_t attempt = 1, attempts = 0, crashes = 0;
    UnixMs created = 0, run_at = 0;
};

/// All that is known.
struct View {
    std::string id, queue, key, callback;
    State state = State::ready;
    std::int32_t priority = 0;
    std::uint32_t attempts_made = 0, attempts = 0, crashes = 0;
    UnixMs created = 0, run_at = 0, started = 0, ended = 0;  ///< 0: not yet
    std::string reason;                                      ///< why it is dead
    std::string progress;                                    ///< what the handler said last
    bool cancelling = false;                                 ///< running, and somebody wants it cancelled
    std::vector<Attempt> history;                            ///< the last 20
    std::uint64_t body_size = 0;
    std::optional<std::string> result;  ///< only where it was asked for, and there was room
    std::string result_type;
    std::uint64_t result_size = 0;
    bool result_cut = false;  ///< it was longer, and this is its beginning
    /// Of a job that is a request: how it was answered. `result_fields`: lines, but for the content's type.
    std::uint16_t result_status = 0;  ///< 0: it is none, or not done
    std::string result_fields;
};

}  // namespace worker::jobs
