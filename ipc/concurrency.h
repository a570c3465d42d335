// ipc/concurrency.h: how many calls an upstream takes at once, found out from how long its answers take; one
// limit for all workers, without a lock that a dying one could hold.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ipc/counter.h"

namespace ipc {

/// Given with each call: what a reload changed holds from then on.
struct ConcurrencyRules {
    std::uint32_t min = 4, max = 1000;     ///< bounds of the limit
    std::uint32_t tolerance_percent = 50;  ///< answers may take so much longer than the baseline, and 1 ms
};

/// What is known from one window of answers to the next. As it is made: nothing yet.
struct ConcurrencyState {
    std::uint32_t limit = 0;        ///< 0: none was set; see `limit_of`
    std::uint32_t full = 0;         ///< windows since a look in which it was all used, or answers late
    std::uint32_t look_after = 0;   ///< so many of them; 0: the fewest
    std::uint32_t at_min = 0;       ///< windows in a row that found answers late at the least limit
    std::uint32_t from_peak = 0;    ///< calls under way before the limit fell; 0: it does not
    std::uint64_t from_us = 0;      ///< and what answers took then
    std::uint64_t baseline_us = 0;  ///< what they take when they wait for nobody; 0: unknown
    bool cut = false;               ///< it has fallen once: no doubling any more
    bool looking = false;           ///< it is halved, for one window
};

/// The answers of calls that began under the same limit.
struct ConcurrencyWindow {
    std::uint64_t latency_us = 0;  ///< their median
    std::uint32_t peak = 0;        ///< calls under way, at the most; the limit itself where some were refused
};

/// The limit that holds: within the bounds, whatever the state.
[[nodiscard]] std::uint32_t limit_of(const ConcurrencyRules& rules, const ConcurrencyState& state) noexcept;

/// What follows from a window. A gradient, as in Netflix' concurrency-limits and Envoy's adaptive
/// concurrency: while answers take no longer than the baseline and its tolerance the limit grows, by its
/// root, at first by itself; when they take longer it falls in that proportion, to no less than half. Apart
/// from those:
/// - it neither grows nor falls while less than half of it is used: that says nothing of it;
/// - the baseline falls with the answers, and rises only with evidence: in windows that use less than half,
///   after the limit was halved and answers did not become quicker by a quarter (a queue would have halved
///   them), at most doubled then, or after five windows at `min`. So a long overload does not become normal;
/// - when the first window, and now and then a later one, used all of it, it is halved for one, to see
/// whether
///   there was a queue all along, and again while there was: after four such windows at first, twice as many
///   when there was none, up to 64.
[[nodiscard]] ConcurrencyState after_window(const ConcurrencyRules& rules, ConcurrencyState state,
                                            const ConcurrencyWindow& window) noexcept;

/// Lives in shared memory; all zero knows nothing. Any process may call anything at any time, and die at any
/// instruction: what is then half done costs a window. Times are of CLOCK_MONOTONIC.
class alignas(64) ConcurrencyCell {
 public:
    static constexpr std::size_t samples_max = 128;      ///< of a window: later ones take their places
    static constexpr std::uint32_t samples_min = 16;     ///< a window has no fewer
    static constexpr std::uint64_t window_us = 250'000;  ///< nor is it shorter, once the limit has fallen,
    static constexpr std::uint64_t window_first_us = 25'000;    ///< or, before,
    static constexpr std::uint64_t window_long_us = 2'000'000;  ///< nor than two answers, up to this

    /// An upstream with such a limit has come, or is here again: these bounds hold.
    void begin(const ConcurrencyRules& rules) noexcept;
    /// It has no such limit any more. Answers are ignored until the next `begin`.
    void forget() noexcept;
    /// One load.
    [[nodiscard]] std::uint32_t limit(const ConcurrencyRules& rules) const noexcept;
    /// So many calls are under way; a call wants to be, too.
    void see(std::uint32_t calls) noexcept {
        if (calls > peak_.load(std::memory_order_relaxed)) peak_.store(calls, std::memory_order_relaxed);
    }
    /// An answer began, or did not until now.
    void add(const ConcurrencyRules& rules, std::uint64_t asked_us, std::uint64_t now_us) noexcept;

    // For whoever shows it.

    [[nodiscard]] bool used() const noexcept { return limit() != 0; }
    [[nodiscard]] std::uint32_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
    /// 0: there was no window yet.
    [[nodiscard]] std::uint64_t baseline_us() const noexcept {
        return baseline_us_.load(std::memory_order_relaxed);
    }
    /// The median of the last window.
    [[nodiscard]] std::uint64_t latency_us() const noexcept {
        return latency_us_.load(std::memory_order_relaxed);
    }

 private:
    void close(const ConcurrencyRules& rules, std::uint32_t samples, std::uint64_t now_us) noexcept;
    [[nodiscard]] ConcurrencyState load() const noexcept;
    void store(const ConcurrencyState& state) noexcept;

    // Read with every call, written with every window.
    std::atomic<std::uint32_t> limit_{0};
    std::atomic<std::uint32_t> full_{0}, look_after_{0}, at_min_{0}, from_peak_{0};
    std::atomic<std::uint64_t> from_us_{0}, baseline_us_{0}, latency_us_{0};
    std::atomic<std::uint64_t> opened_us_{0};  ///< the window: calls that were asked before do not count
    std::atomic<bool> cut_{false}, looking_{false};
    // Written with every answer. Number of the window, and how many it has, in one word: who moves it on
    // closes the window.
    alignas(64) std::atomic<std::uint64_t> taken_{0};
    std::atomic<std::uint32_t> peak_{0};
    std::array<std::atomic<std::uint32_t>, samples_max> samples_{};  ///< us
};

}  // namespace ipc
