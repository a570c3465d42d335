// ipc/breaker.cpp: words that are replaced whole, so that no death leaves anything half done.
#include "ipc/breaker.h"

#include <algorithm>
#include <type_traits>

namespace ipc {

// closed ──failures, ratios──▶ open ──reset_ms──▶ half-open ──`probes` successes──▶ closed
//                                └◀──any failure or slow call──┘
// Each arrow is one compare-and-swap of `word_` that also raises the generation. Whatever else is counted
// bears the generation it was counted for, hence needs no clearing and is void once that has passed.

static_assert(std::is_standard_layout_v<BreakerCell> && std::atomic<std::uint64_t>::is_always_lock_free);

namespace {

constexpr std::uint64_t mask(unsigned bits) { return (std::uint64_t{1} << bits) - 1; }
constexpr unsigned low_bits = 40, pid_bits = 22, count_bits = 14;
// The low part of a word is a time or a count. Times are kept modulo 2^40 ms, which is 34 years, and
// compared by their distance.
constexpr std::uint64_t low = mask(low_bits), span_ms_max = mask(low_bits - 2);

/// 0: `to` is past.
std::uint64_t ms_between(std::uint64_t from, std::uint64_t to) {
    const std::uint64_t distance = (to - from) & low;
    return distance <= low / 2 ? distance : 0;
}

/// splitmix64's finish: all bits of the result depend on all bits of `value`.
std::uint64_t mix(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

std::size_t probes_of(const BreakerRules& rules) {
    return std::clamp<std::size_t>(rules.probes, 1, BreakerCell::permits_max);
}

/// A permit: free is 0, held is this bit, who by and until when. A holder's next lease ends later, so it
/// never equals an expired one.
constexpr std::uint64_t held = std::uint64_t{1} << 63;

/// A bucket of the window: from the top a tag, calls, failed, slow. The tag is of when its time is, of whose
/// generation and under what width it counts; one that does not match is stale.
constexpr unsigned tag_at = 3 * count_bits, calls_at = 2 * count_bits, failed_at = count_bits, slow_at = 0;
constexpr std::uint64_t calls_min_max = mask(count_bits) / 2;  // of a bucket that was ever full
std::uint64_t count_in(std::uint64_t bucket, unsigned at) { return bucket >> at & mask(count_bits); }

std::uint64_t add_call(std::uint64_t bucket, Outcome outcome) {
    constexpr std::uint64_t half = mask(count_bits - 1);
    constexpr std::uint64_t halves = half << calls_at | half << failed_at | half << slow_at;
    if (count_in(bucket, calls_at) == mask(count_bits))  // keeps the ratios, and favours what is new
        bucket = bucket >> tag_at << tag_at | (bucket >> 1 & halves);
    return bucket + (std::uint64_t{1} << calls_at) +
           (std::uint64_t{outcome == Outcome::failure} << failed_at) +
           (std::uint64_t{outcome == Outcome::slow} << slow_at);
}

std::uint64_t width_of(const BreakerRules& rules) { return std::max(rules.window_ms / 10, std::uint64_t{1}); }
std::uint64_t empty_bucket(std::uint64_t width_ms, std::uint64_t epoch, std::uint64_t generation) {
    return mix(mix(mix(epoch) ^ generation) ^ width_ms) << tag_at;
}

}  // namespace

std::string_view name(BreakerState state) {
    constexpr std::string_view names[] = {"closed", "open", "half-open"};
    return names[static_cast<std::size_t>(state)];
}

std::string_view name(BreakerCause cause) {
    constexpr std::string_view names[] = {"failures", "failure_percent", "slow_percent", "probe", "time",
                                          "force"};
    return names[static_cast<std::size_t>(cause)];
}

/// `word_` taken apart; its bits from the top: time, generation, force, state.
struct BreakerCell::Word {
    BreakerState state = BreakerState::closed;
    BreakerForce force = BreakerForce::automatic;
    std::uint64_t generation = 0;
    std::uint64_t time = 0;  ///< open by itself: until when; otherwise since when

    [[nodiscard]] std::uint64_t packed() const {
        return time << 24 | generation << generation_at |
               std::uint64_t{static_cast<std::uint8_t>(force)} << 2 | static_cast<std::uint8_t>(state);
    }
    [[nodiscard]] Word next(BreakerState to, std::uint64_t at) const {
        return {to, force, (generation + 1) & generation_mask, at & low};
    }
};

BreakerCell::Word BreakerCell::load() const noexcept {
    const std::uint64_t bits = word_.load(std::memory_order_acquire);
    return {static_cast<BreakerState>(bits & state_mask), static_cast<BreakerForce>(bits >> 2 & 3),
            bits >> generation_at & generation_mask, bits >> 24};
}

/// Fails only if another was first: then the generation is another, too.
std::optional<Transition> BreakerCell::change(const Word& from, Word to, BreakerCause cause) noexcept {
    std::uint64_t expected = from.packed();
    if (!word_.compare_exchange_strong(expected, to.packed())) return std::nullopt;
    if (from.state != to.state) counts_.entered[static_cast<std::size_t>(to.state)].add_shared();
    return Transition{.from = from.state, .to = to.state, .cause = cause};
}

std::optional<Transition> BreakerCell::open(const BreakerRules& rules, const Word& from, BreakerCause cause,
                                            std::uint64_t now_ms) noexcept {
    // Breakers of one server, and servers of one upstream, are at different addresses.
    const std::uint64_t chance = mix(reinterpret_cast<std::uintptr_t>(this) ^ mix(now_ms + from.generation));
    const std::uint64_t reset_ms = std::min(rules.reset_ms, span_ms_max);
    const std::uint64_t open_ms = reset_ms + chance % (reset_ms / 10 + 1);
    auto opened = change(from, from.next(BreakerState::open, now_ms + open_ms), cause);
    if (opened) opened->open_ms = open_ms;
    return opened;
}

Admission BreakerCell::refuse(std::uint64_t retry_after_ms, std::optional<Transition> transition) noexcept {
    counts_.refused.add_shared();
    return {false, {}, std::max<std::uint64_t>(retry_after_ms, 1), transition};
}

Admission BreakerCell::admit(const BreakerRules& rules, std::uint64_t now_ms, std::uint32_t pid) noexcept {
    std::optional<Transition> made;  // at most one a call, so that each is reported
    for (;;) {                       // once more only when someone changed the state
        const Word word = load();
        if (word.state == BreakerState::closed) return {true, {.generation = word.generation}, 0, made};
        if (word.force == BreakerForce::open) return refuse(rules.reset_ms, made);
        if (!rules.enabled()) return {true, {}, 0, made};

        if (word.state == BreakerState::open) {
            const auto left_ms = ms_between(now_ms, word.time);
            if (left_ms > 0 || made) return refuse(left_ms, made);
            made = change(word, word.next(BreakerState::half_open, now_ms), BreakerCause::time);
            continue;
        }
        // Who saw the last success died before it could close: nobody else would.
        const std::uint64_t tally = tally_.load(std::memory_order_acquire);
        if (!made && tally >> low_bits == word.generation && (tally & low) >= probes_of(rules)) {
            made = change(word, word.next(BreakerState::closed, now_ms), BreakerCause::probe);
            continue;
        }
        Admission probe = take_permit(rules, word.generation, now_ms, pid);
        // a probe may end long before its lease does
        if (!probe.admitted) return refuse(std::min(probe.retry_after_ms, rules.reset_ms), made);
        if (load().generation == word.generation) {
            counts_.probes.add_shared();
            probe.transition = made;
            return probe;
        }
        give_back(probe.ticket);  // the state has changed since
    }
}

Admission BreakerCell::take_permit(const BreakerRules& rules, std::uint64_t generation, std::uint64_t now_ms,
                                   std::uint32_t pid) noexcept {
    std::uint64_t wait_ms = std::clamp<std::uint64_t>(rules.probe_lease_ms, 1, span_ms_max);
    const std::uint64_t lease = held | (pid & mask(pid_bits)) << low_bits | ((now_ms + wait_ms) & low);
    for (std::size_t permit = 0; permit < probes_of(rules); ++permit) {
        std::uint64_t seen = permits_[permit].load(std::memory_order_acquire);
        const auto left_ms = seen == 0 ? 0 : ms_between(now_ms, seen & low);
        if (left_ms > 0)
            wait_ms = std::min(wait_ms, left_ms);
        else if (permits_[permit].compare_exchange_strong(seen, lease))
            return {true, {generation, lease, static_cast<std::int32_t>(permit)}, 0, std::nullopt};
    }
    return {false, {}, wait_ms, std::nullopt};
}

/// A lease that has expired may be another's by now: that one stays, here and below.
void BreakerCell::give_back(const Ticket& ticket) noexcept {
    std::uint64_t lease = ticket.lease;
    if (ticket.permit >= 0)
        permits_[static_cast<std::size_t>(ticket.permit)].compare_exchange_strong(lease, 0);
}

void BreakerCell::free_leases_of(std::uint32_t pid) noexcept {
    for (auto& permit : permits_) {
        std::uint64_t seen = permit.load(std::memory_order_acquire);
        if (seen != 0 && (seen >> low_bits & mask(pid_bits)) == pid) permit.compare_exchange_strong(seen, 0);
    }
}

std::optional<Transition> BreakerCell::record(const BreakerRules& rules, const Ticket& ticket,
                                              Outcome outcome, std::uint64_t now_ms) noexcept {
    std::optional<Transition> made;
    const Word word = load();
    if (ticket.generation == word.generation && outcome != Outcome::neutral) {
        if (outcome == Outcome::failure) counts_.failures.add_shared();
        if (outcome == Outcome::slow) counts_.slow.add_shared();
        if (word.force == BreakerForce::automatic) made = settle(rules, word, outcome, now_ms);
    }
    give_back(ticket);  // last, so that no further probe goes to an upstream that just failed one
    return made;
}

std::optional<Transition> BreakerCell::settle(const BreakerRules& rules, const Word& word, Outcome outcome,
                                              std::uint64_t now_ms) noexcept {
    if (word.state == BreakerState::closed) {
        const auto cause = trigger(rules, word.generation, outcome, now_ms);
        return cause ? open(rules, word, *cause, now_ms) : std::nullopt;
    }
    if (outcome != Outcome::success) return open(rules, word, BreakerCause::probe, now_ms);
    // Even if its lease has expired: else what takes longer than a lease would never close.
    if (count_one(word.generation) < probes_of(rules)) return std::nullopt;
    return change(word, word.next(BreakerState::closed, now_ms), BreakerCause::probe);
}

std::optional<BreakerCause> BreakerCell::trigger(const BreakerRules& rules, std::uint64_t generation,
                                                 Outcome outcome, std::uint64_t now_ms) noexcept {
    const bool ratios = rules.failure_percent > 0 || rules.slow_percent > 0;
    if (ratios) add_to_window(rules, generation, outcome, now_ms);
    if (outcome != Outcome::failure) count_anew(generation);
    if (outcome == Outcome::success) return std::nullopt;

    if (outcome == Outcome::failure && rules.failures > 0 && count_one(generation) >= rules.failures)
        return BreakerCause::failures;
    const BreakerWindow seen = ratios ? window(rules, now_ms) : BreakerWindow{};
    if (seen.calls < std::clamp<std::uint64_t>(rules.calls_min, 1, calls_min_max)) return std::nullopt;
    if (rules.failure_percent > 0 && seen.failed * 100 >= seen.calls * rules.failure_percent)
        return BreakerCause::failure_percent;
    const bool slow = rules.slow_percent > 0 && seen.slow * 100 >= seen.calls * rules.slow_percent;
    return slow ? std::optional(BreakerCause::slow_percent) : std::nullopt;
}

/// How many that makes; 0 when the generation is over. Whoever counted for a later generation had seen it,
/// so having seen that count this process sees the generation, too.
std::uint64_t BreakerCell::count_one(std::uint64_t generation) noexcept {
    std::uint64_t seen = tally_.load(std::memory_order_acquire);
    for (;;) {
        const bool ours = seen >> low_bits == generation;
        if (!ours && load().generation != generation) return 0;
        const std::uint64_t next = ours ? seen + 1 : generation << low_bits | 1;
        if (tally_.compare_exchange_weak(seen, next)) return next & low;
    }
}

/// Writes only if there is something to forget. Repeats, for a failure beside it must not undo it.
void BreakerCell::count_anew(std::uint64_t generation) noexcept {
    const std::uint64_t none = generation << low_bits;
    std::uint64_t seen = tally_.load(std::memory_order_acquire);
    while (seen >> low_bits == generation && seen != none)
        if (tally_.compare_exchange_weak(seen, none)) return;
}

/// A process that slept for a whole window since it read the clock replaces a newer bucket, which the ratios
/// then lack.
void BreakerCell::add_to_window(const BreakerRules& rules, std::uint64_t generation, Outcome outcome,
                                std::uint64_t now_ms) noexcept {
    const std::uint64_t width_ms = width_of(rules), epoch = now_ms / width_ms;
    const std::uint64_t empty = empty_bucket(width_ms, epoch, generation);
    auto& bucket = window_[epoch % buckets];
    std::uint64_t seen = bucket.load(std::memory_order_acquire);
    for (;;) {
        const bool ours = seen >> tag_at == empty >> tag_at;
        if (!ours && load().generation != generation) return;
        const std::uint64_t next = add_call(ours ? seen : empty, outcome);
        if (bucket.compare_exchange_weak(seen, next)) return;
    }
}

BreakerWindow BreakerCell::window(const BreakerRules& rules, std::uint64_t now_ms) const noexcept {
    const std::uint64_t generation = load().generation, width_ms = width_of(rules), last = now_ms / width_ms;
    BreakerWindow sum;
    for (std::uint64_t epoch = last; epoch + buckets > last; --epoch) {
        const std::uint64_t bucket = window_[epoch % buckets].load(std::memory_order_acquire);
        if (bucket >> tag_at != empty_bucket(width_ms, epoch, generation) >> tag_at) continue;
        sum.calls += count_in(bucket, calls_at);
        sum.failed += count_in(bucket, failed_at);
        sum.slow += count_in(bucket, slow_at);
    }
    return sum;
}

std::optional<Transition> BreakerCell::force(BreakerForce word, std::uint64_t now_ms) noexcept {
    const auto to = word == BreakerForce::open ? BreakerState::open : BreakerState::closed;
    for (;;) {
        const Word from = load();
        if (from.force == word) return std::nullopt;
        Word next = from.next(to, now_ms);
        next.force = word;
        const auto made = change(from, next, BreakerCause::force);
        if (made) return made->from == made->to ? std::nullopt : made;
    }
}

BreakerStatus BreakerCell::status(std::uint64_t now_ms) const noexcept {
    const Word word = load();
    BreakerStatus status{.state = word.state, .force = word.force, .generation = word.generation};
    if (word.state == BreakerState::open && word.force == BreakerForce::automatic) {
        status.retry_after_ms = ms_between(now_ms, word.time);
        if (status.retry_after_ms == 0) status.state = BreakerState::half_open;
    } else if (word.time != 0) {
        status.in_state_ms = ms_between(word.time, now_ms);
    }
    return status;
}

}  // namespace ipc
