// ipc/breaker.h: a circuit breaker that all processes share, without a lock that a dying one could hold.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ipc/counter.h"

namespace ipc {

/// When a breaker opens and how it comes back. Given with each call: what a reload changed holds from then
/// on.
struct BreakerRules {
    std::uint32_t failures = 5;         ///< in a row that open it; 0: these do not
    std::uint32_t failure_percent = 0;  ///< of the calls in the window; 0: not
    std::uint32_t slow_percent = 0;     ///< calls slower than `slow_ms`, of those in the window; 0: not
    std::uint64_t slow_ms = 0;          ///< for the caller, who tells outcomes apart
    std::uint64_t window_ms = 10'000;   ///< a ring of 10 buckets: the last one is still filling
    std::uint32_t calls_min = 20;       ///< in the window, for ratios to count; more than 8'191 is 8'191
    std::uint64_t reset_ms = 10'000;    ///< from open to half-open; 0 to 10 % are added each time
    std::uint32_t probes = 1;  ///< permits out at once when half-open, 1 to 16; as many successes close
    std::uint64_t probe_lease_ms = 10'000;  ///< a permit not given back frees itself after this

    [[nodiscard]] bool enabled() const noexcept {
        return failures > 0 || failure_percent > 0 || slow_percent > 0;
    }
};

enum class BreakerState : std::uint8_t { closed, open, half_open };
/// The operator's word: `open` refuses and `closed` admits everything until it is changed.
enum class BreakerForce : std::uint8_t { automatic, open, closed };
/// Neutral: neither good nor bad, as when the client went away. A slow call ends a row of failures.
enum class Outcome : std::uint8_t { success, failure, slow, neutral };
/// Why the state changed; `probe` is one's failure or the last one's success.
enum class BreakerCause : std::uint8_t { failures, failure_percent, slow_percent, probe, time, force };

[[nodiscard]] std::string_view name(BreakerState state);
[[nodiscard]] std::string_view name(BreakerCause cause);

/// Returned to one caller in the whole server, who logs it.
struct Transition {
    BreakerState from = BreakerState::closed, to = BreakerState::closed;
    BreakerCause cause = BreakerCause::force;
    std::uint64_t open_ms = 0;  ///< how long it stays open, when it opened by itself
};

/// From `admit` to `record`, of which each call owes one. By default it counts for nothing.
struct Ticket {
    std::uint64_t generation = ~std::uint64_t{0};
    std::uint64_t lease = 0;   ///< what the permit must still hold to be this ticket's
    std::int32_t permit = -1;  ///< -1: none was needed
};

struct Admission {
    bool admitted = false;
    Ticket ticket;
    std::uint64_t retry_after_ms = 0;  ///< when refused: at least 1, and `reset_ms` when forced
    std::optional<Transition> transition;
};

/// What one look at the breaker shows.
struct BreakerStatus {
    BreakerState state = BreakerState::closed;  ///< half-open as soon as the next call would find it so
    BreakerForce force = BreakerForce::automatic;
    std::uint64_t generation = 0;  ///< of 20 bits; each transition and each word of the operator starts one
    std::uint64_t retry_after_ms = 0;  ///< when open by itself
    std::uint64_t in_state_ms = 0;     ///< otherwise, unless it never changed
};

/// Calls within the last `window_ms`; the counts of very busy buckets are scaled down alike.
struct BreakerWindow {
    std::uint64_t calls = 0, failed = 0, slow = 0;
};

/// Since the server started. Good calls write nothing here, so workers count calls in rows of their own.
struct BreakerCounts {
    Counter failures, slow;  ///< outcomes of the generation they were admitted in
    Counter refused, probes;
    std::array<Counter, 3> entered;  ///< transitions, by the BreakerState they led to
};

/// Lives in shared memory; all zero is closed and fresh. Any process may call anything at any time, and die
/// at any instruction. `now_ms` is of CLOCK_MONOTONIC.
class alignas(64) BreakerCell {
 public:
    static constexpr std::size_t permits_max = 16;

    /// For the calls of good times, without more: the generation of a closed breaker, which admits them all.
    [[nodiscard]] std::optional<std::uint64_t> closed_generation() const noexcept {
        const std::uint64_t word = word_.load(std::memory_order_acquire);
        if ((word & state_mask) != static_cast<std::uint64_t>(BreakerState::closed)) return std::nullopt;
        return word >> generation_at & generation_mask;
    }
    /// Likewise: to `record` that such a call went well would change nothing.
    [[nodiscard]] bool is_untroubled(const BreakerRules& rules, const Ticket& ticket) const noexcept {
        return ticket.permit < 0 && rules.failure_percent == 0 && rules.slow_percent == 0 &&
               closed_generation() && (tally_.load(std::memory_order_acquire) & tally_mask) == 0;
    }
    /// May the call go ahead? One load when closed. `pid` holds the permit, if it takes one. Rules with no
    /// trigger admit everything, save what the operator refuses.
    [[nodiscard]] Admission admit(const BreakerRules& rules, std::uint64_t now_ms,
                                  std::uint32_t pid) noexcept;
    /// How an admitted call ended; gives its permit back. Outcomes of an earlier generation do not count.
    [[nodiscard]] std::optional<Transition> record(const BreakerRules& rules, const Ticket& ticket,
                                                   Outcome outcome, std::uint64_t now_ms) noexcept;
    /// `automatic` after another word is closed and fresh; the word that holds already changes nothing.
    /// Returns a transition only if the state is another one.
    [[nodiscard]] std::optional<Transition> force(BreakerForce word, std::uint64_t now_ms) noexcept;
    /// The process is no more: after reaping it, before its pid can return.
    void free_leases_of(std::uint32_t pid) noexcept;

    [[nodiscard]] BreakerState state(std::uint64_t now_ms) const noexcept { return status(now_ms).state; }
    [[nodiscard]] BreakerStatus status(std::uint64_t now_ms) const noexcept;
    /// Of this generation; empty unless a ratio rule is set.
    [[nodiscard]] BreakerWindow window(const BreakerRules& rules, std::uint64_t now_ms) const noexcept;
    [[nodiscard]] const BreakerCounts& counts() const noexcept { return counts_; }

 private:
    struct Word;
    static constexpr std::size_t buckets = 10;
    // `word_` from its lowest bit on: state, force, generation, time; `tally_`: count, generation.
    static constexpr unsigned generation_at = 4, generation_bits = 20, tally_bits = 40;
    static constexpr std::uint64_t state_mask = 3, generation_mask = (1u << generation_bits) - 1;
    static constexpr std::uint64_t tally_mask = (std::uint64_t{1} << tally_bits) - 1;

    [[nodiscard]] Word load() const noexcept;
    std::optional<Transition> change(const Word& from, Word to, BreakerCause cause) noexcept;
    std::optional<Transition> open(const BreakerRules& rules, const Word& from, BreakerCause cause,
                                   std::uint64_t now_ms) noexcept;
    Admission refuse(std::uint64_t retry_after_ms, std::optional<Transition> transition) noexcept;
    Admission take_permit(const BreakerRules& rules, std::uint64_t generation, std::uint64_t now_ms,
                          std::uint32_t pid) noexcept;
    void give_back(const Ticket& ticket) noexcept;
    std::optional<Transition> settle(const BreakerRules& rules, const Word& word, Outcome outcome,
                                     std::uint64_t now_ms) noexcept;
    std::optional<BreakerCause> trigger(const BreakerRules& rules, std::uint64_t generation, Outcome outcome,
                                        std::uint64_t now_ms) noexcept;
    std::uint64_t count_one(std::uint64_t generation) noexcept;
    void count_anew(std::uint64_t generation) noexcept;
    void add_to_window(const BreakerRules& rules, std::uint64_t generation, Outcome outcome,
                       std::uint64_t now_ms) noexcept;

    // What good calls read is on a line that only failures and transitions write.
    std::atomic<std::uint64_t> word_{0};
    std::atomic<std::uint64_t> tally_{0};  ///< of one generation: failures in a row, or probes that succeeded
    alignas(64) std::array<std::atomic<std::uint64_t>, buckets> window_{};
    alignas(64) std::array<std::atomic<std::uint64_t>, permits_max> permits_{};
    alignas(64) BreakerCounts counts_;
};

}  // namespace ipc
