// ipc/health.h: what the checks of a peer have found, in shared memory, and who may say so.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "ipc/counter.h"
#include "ipc/shared_text.h"

namespace ipc {

/// Of a peer, by its checks. `unknown`, before there was any, counts as up.
enum class Health : std::uint8_t { unknown, up, down };
[[nodiscard]] std::string_view name(Health health);

/// Outlives sentinels, workers and reloads. Only the sentinel that holds the lease writes.
class HealthCell {
 public:
    [[nodiscard]] Health state() const noexcept;
    [[nodiscard]] bool is_down() const noexcept {
        return state_.get() == static_cast<std::uint64_t>(Health::down);
    }
    /// What a check has found, and what it took; `reason`: why it failed.
    void passed(std::uint64_t now_ms, std::uint64_t latency_us) noexcept;
    void failed(std::uint64_t now_ms, std::uint64_t latency_us, std::string_view reason) noexcept;
    void change(Health to, std::uint64_t now_ms) noexcept;
    /// Nobody checks it any more. The counters stay.
    void forget() noexcept;

    // All times are CLOCK_MONOTONIC; 0: never.
    [[nodiscard]] std::uint64_t changed_ms() const noexcept { return changed_ms_.get(); }
    [[nodiscard]] std::uint64_t checked_ms() const noexcept { return checked_ms_.get(); }
    /// When it was up again after it was down.
    [[nodiscard]] std::uint64_t recovered_ms() const noexcept { return recovered_ms_.get(); }
    [[nodiscard]] std::uint64_t latency_us() const noexcept {
        return latency_us_.get();
    }  ///< of the last check
    [[nodiscard]] std::uint64_t checks_passed() const noexcept { return passed_.get(); }  ///< ever
    [[nodiscard]] std::uint64_t checks_failed() const noexcept { return failed_.get(); }
    /// Why the last check failed that did; empty once the peer has come up.
    [[nodiscard]] std::string reason() const { return reason_.get(); }

 private:
    Counter state_;
    Counter changed_ms_, checked_ms_, recovered_ms_;
    Counter latency_us_;
    Counter passed_, failed_;
    SharedText<64> reason_;
};

/// Which sentinel checks: that of the generation that began to serve last and has one that lives, also when
/// there are several, as while a reload is under way, while two masters serve, or when an old one wakes up
/// again. Each generation draws a term; numbers of generations would not do, as two masters may use the same.
/// One word, changed by compare-and-swap: whoever dies with it is waited for no longer than `life_ms`.
class HealthLease {
 public:
    static constexpr std::uint64_t life_ms = 3000;
    static constexpr std::uint64_t renew_ms = 500;

    /// A term newer than all others.
    [[nodiscard]] std::uint32_t draw() noexcept { return terms_.fetch_add(1) + 1; }
    /// For the sentinel of that term: true, and it holds the lease for `life_ms` from now.
    [[nodiscard]] bool hold(std::uint32_t term, std::uint64_t now_ms) noexcept;
    [[nodiscard]] bool held_by(std::uint32_t term) const noexcept;
    /// So that another one need not wait.
    void release(std::uint32_t term) noexcept;

 private:
    std::atomic<std::uint32_t> terms_{0};
    std::atomic<std::uint64_t> word_{0};  ///< term, in 22 bits, and CLOCK_MONOTONIC of its end
};

}  // namespace ipc
