#include "ipc/concurrency.h"

#include <algorithm>
#include <cmath>

namespace ipc {
namespace {

constexpr std::uint32_t limit_first = 20;  // most servers have room for so many
constexpr std::uint32_t at_min_max = 5;    // windows, then the baseline is what is wrong
constexpr std::uint32_t look_after_min = 4, look_after_max = 64;  // from one look to the next
constexpr std::uint64_t taken_bits = 32;
constexpr std::uint64_t slack_us = 1000;  // our own turns take as long

/// Half as many calls, and answers take three quarters or less: they had waited for each other.
bool was_queue(const ConcurrencyState& state, std::uint64_t latency_us) noexcept {
    return latency_us <= state.from_us / 4 * 3;
}

std::uint32_t look_after_of(const ConcurrencyState& state) noexcept {
    return std::max(state.look_after, look_after_min);
}

ConcurrencyState let_be(ConcurrencyState state, std::uint32_t limit) noexcept {
    state.limit = limit;
    state.from_peak = state.at_min = 0;
    state.looking = false;
    return state;
}

ConcurrencyState look(ConcurrencyState state, std::uint32_t limit, std::uint64_t took_us) noexcept {
    state.limit = limit / 2;
    state.from_us = took_us;
    state.from_peak = state.full = 0;
    state.looking = true;
    return state;
}

}  // namespace

std::uint32_t limit_of(const ConcurrencyRules& rules, const ConcurrencyState& state) noexcept {
    return std::clamp(state.limit == 0 ? limit_first : state.limit, rules.min,
                      std::max(rules.min, rules.max));
}

ConcurrencyState after_window(const ConcurrencyRules& rules, ConcurrencyState state,
                              const ConcurrencyWindow& window) noexcept {
    const std::uint64_t took = std::max<std::uint64_t>(window.latency_us, 1);
    const std::uint32_t limit = limit_of(rules, state);
    const std::uint64_t bound = std::max(rules.min, rules.max);
    if (state.looking) {
        if (!was_queue(state, took) || took > state.baseline_us / 8 * 7) {
            state.look_after = std::min(2 * look_after_of(state), look_after_max);
            return let_be(state, static_cast<std::uint32_t>(std::min<std::uint64_t>(2ull * limit, bound)));
        }
        state.look_after = 0;
        state.baseline_us = took;
        return limit / 2 < rules.min ? let_be(state, limit) : look(state, limit, took);
    }
    const bool first = state.baseline_us == 0;
    if (first) state.baseline_us = took;
    if (took < state.baseline_us) state.baseline_us -= (state.baseline_us - took + 1) / 2;

    const bool light = 2ull * window.peak < limit;
    if (light) {
        if (took > state.baseline_us) state.baseline_us += (took - state.baseline_us + 3) / 4;
        state.full = 0;
        return let_be(state, limit);
    }
    const std::uint64_t allowed =
        state.baseline_us + std::max(state.baseline_us * rules.tolerance_percent / 100, slack_us);
    if (took <= allowed) {
        if (window.peak >= limit && limit / 2 >= rules.min) {
            // While it doubles, more calls are the better look; but for the first time, when nothing is
            // known.
            const bool due = (state.cut || limit == bound) && ++state.full >= look_after_of(state);
            if (first || due) return look(state, limit, took);
        }
        const auto root = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(limit)));
        const std::uint64_t more = state.cut ? limit + std::max<std::uint64_t>(root, 1) : 2ull * limit;
        return let_be(state, static_cast<std::uint32_t>(std::min(more, bound)));
    }

    state.cut = true;
    ++state.full;
    if (state.from_peak == 0) {
        state.from_peak = window.peak;
        state.from_us = took;
    } else if (2ull * window.peak <= state.from_peak) {
        if (!was_queue(state, took)) {
            state.baseline_us = std::min(took, 2 * state.baseline_us);
            return let_be(state, std::max(limit, state.from_peak));
        }
        state.from_peak = window.peak;
        state.from_us = took;
    }
    if (limit > rules.min) {
        state.at_min = 0;
    } else if (++state.at_min >= at_min_max) {
        state.baseline_us = took;
        return let_be(state, limit);
    }
    const std::uint64_t less = std::max<std::uint64_t>(limit * allowed / took, limit / 2);
    state.limit = std::max(rules.min, static_cast<std::uint32_t>(less));
    return state;
}

std::uint32_t ConcurrencyCell::limit(const ConcurrencyRules& rules) const noexcept {
    return limit_of(rules, {.limit = limit_.load(std::memory_order_relaxed)});
}

void ConcurrencyCell::begin(const ConcurrencyRules& rules) noexcept {
    limit_.store(limit(rules), std::memory_order_relaxed);
}

void ConcurrencyCell::add(const ConcurrencyRules& rules, std::uint64_t asked_us,
                          std::uint64_t now_us) noexcept {
    if (!used()) return;
    std::uint64_t opened = opened_us_.load(std::memory_order_relaxed);
    if (opened == 0) opened_us_.store(opened = asked_us, std::memory_order_relaxed);
    if (asked_us < opened || now_us < asked_us) return;
    const std::uint64_t before = taken_.fetch_add(1, std::memory_order_relaxed);
    const auto samples = static_cast<std::uint32_t>(before) + 1;
    samples_[(samples - 1) % samples_max].store(
        static_cast<std::uint32_t>(std::min<std::uint64_t>(now_us - asked_us, ~std::uint32_t{0})),
        std::memory_order_relaxed);
    const std::uint64_t least = cut_.load(std::memory_order_relaxed) ? window_us : window_first_us;
    const std::uint64_t answers = 2 * latency_us_.load(std::memory_order_relaxed);
    if (samples < samples_min || now_us - opened < std::clamp(answers, least, window_long_us)) return;
    // Who comes first closes it; a sample that another one adds meanwhile makes him the one.
    std::uint64_t expected = before + 1;
    const std::uint64_t next = ((before >> taken_bits) + 1) << taken_bits;
    if (taken_.compare_exchange_strong(expected, next, std::memory_order_relaxed))
        close(rules, samples, now_us);
}

/// Of a window that is ours to close. A place that somebody has not filled yet holds an older answer, which
/// moves no median.
void ConcurrencyCell::close(const ConcurrencyRules& rules, std::uint32_t samples,
                            std::uint64_t now_us) noexcept {
    std::array<std::uint32_t, samples_max> all{};
    const std::size_t size = std::min<std::size_t>(samples, samples_max);
    for (std::size_t i = 0; i < size; ++i) all[i] = samples_[i].load(std::memory_order_relaxed);
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(size / 2);
    std::nth_element(all.begin(), middle, all.begin() + static_cast<std::ptrdiff_t>(size));
    const std::uint32_t peak = peak_.exchange(0, std::memory_order_relaxed);
    store(after_window(rules, load(), {.latency_us = *middle, .peak = peak}));
    latency_us_.store(*middle, std::memory_order_relaxed);
    opened_us_.store(now_us, std::memory_order_relaxed);
}

ConcurrencyState ConcurrencyCell::load() const noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    return {.limit = limit_.load(relaxed),
            .full = full_.load(relaxed),
            .look_after = look_after_.load(relaxed),
            .at_min = at_min_.load(relaxed),
            .from_peak = from_peak_.load(relaxed),
            .from_us = from_us_.load(relaxed),
            .baseline_us = baseline_us_.load(relaxed),
            .cut = cut_.load(relaxed),
            .looking = looking_.load(relaxed)};
}

void ConcurrencyCell::store(const ConcurrencyState& state) noexcept {
    constexpr auto relaxed = std::memory_order_relaxed;
    limit_.store(state.limit, relaxed);
    full_.store(state.full, relaxed);
    look_after_.store(state.look_after, relaxed);
    at_min_.store(state.at_min, relaxed);
    from_peak_.store(state.from_peak, relaxed);
    from_us_.store(state.from_us, relaxed);
    baseline_us_.store(state.baseline_us, relaxed);
    cut_.store(state.cut, relaxed);
    looking_.store(state.looking, relaxed);
}

void ConcurrencyCell::forget() noexcept {
    store({});
    latency_us_.store(0, std::memory_order_relaxed);
    opened_us_.store(0, std::memory_order_relaxed);
}

}  // namespace ipc
