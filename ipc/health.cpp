// ipc/health.cpp: stores of the one writer, and the lease that makes it the only one.
#include "ipc/health.h"

#include <cstdlib>

namespace ipc {
namespace {

constexpr unsigned time_bits = 42;  // of milliseconds: a century
constexpr std::uint64_t time_mask = (std::uint64_t{1} << time_bits) - 1;
constexpr std::uint64_t term_mask = (std::uint64_t{1} << (64 - time_bits)) - 1;

std::uint64_t term_of(std::uint64_t word) noexcept { return word >> time_bits; }
std::uint64_t end_of(std::uint64_t word) noexcept { return word & time_mask; }

}  // namespace

std::string_view name(Health health) {
    switch (health) {
        case Health::unknown: return "unknown";
        case Health::up: return "up";
        case Health::down: return "down";
    }
    std::abort();
}

Health HealthCell::state() const noexcept {
    const auto number = state_.get();
    return number <= static_cast<std::uint64_t>(Health::down) ? static_cast<Health>(number) : Health::unknown;
}

void HealthCell::passed(std::uint64_t now_ms, std::uint64_t latency_us) noexcept {
    passed_.add();
    latency_us_.set(latency_us);
    checked_ms_.set(now_ms);
}

void HealthCell::failed(std::uint64_t now_ms, std::uint64_t latency_us, std::string_view reason) noexcept {
    failed_.add();
    reason_.set(reason);
    latency_us_.set(latency_us);
    checked_ms_.set(now_ms);
}

void HealthCell::change(Health to, std::uint64_t now_ms) noexcept {
    const bool recovers = to == Health::up && is_down();
    if (recovers) recovered_ms_.set(now_ms);
    if (to == Health::up) reason_.clear();
    changed_ms_.set(now_ms);
    state_.set(static_cast<std::uint64_t>(to));
}

void HealthCell::forget() noexcept {
    state_.set(static_cast<std::uint64_t>(Health::unknown));
    changed_ms_.set(0);
    checked_ms_.set(0);
    recovered_ms_.set(0);
    reason_.clear();
}

bool HealthLease::hold(std::uint32_t term, std::uint64_t now_ms) noexcept {
    const std::uint64_t mine = term & term_mask;
    const std::uint64_t wanted = mine << time_bits | ((now_ms + life_ms) & time_mask);
    for (std::uint64_t now = word_.load();;) {
        if (term_of(now) > mine && end_of(now) > now_ms) return false;
        if (word_.compare_exchange_weak(now, wanted)) return true;
    }
}

bool HealthLease::held_by(std::uint32_t term) const noexcept {
    return term_of(word_.load()) == (term & term_mask);
}

void HealthLease::release(std::uint32_t term) noexcept {
    std::uint64_t now = word_.load();
    if (term_of(now) == (term & term_mask)) word_.compare_exchange_strong(now, 0);
}

}  // namespace ipc
