// ipc/counter.h: numbers in shared memory: one writer each, or rare ones that several may write.
#pragma once

#include <atomic>
#include <cstdint>

namespace ipc {

/// One writer, any reader: relaxed atomics, no lock that a dying process could hold.
class Counter {
 public:
    /// Only the owner of the cell calls this: a load and a store, no locked instruction.
    void add(std::uint64_t amount = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    void subtract(std::uint64_t amount = 1) noexcept { add(0 - amount); }
    void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    /// For what several processes count: rare events, not requests.
    void add_shared(std::uint64_t amount = 1) noexcept {
        value_.fetch_add(amount, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace ipc
