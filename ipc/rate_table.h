// ipc/rate_table.h: how often each key may come, over all workers and without a lock.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ipc {

/// One request every `period_ns`, of which `burst` may come before their time: so `burst + 1` at once.
/// `period_ns * (burst + 2)` is below 2^62.
struct Rate {
    std::uint64_t period_ns;
    std::uint32_t burst;

    /// `requests` (at least 1) in every `unit`; rounded so that it is never more. Nanoseconds, because
    /// microseconds would make 1,000,000/s of 700,000/s.
    [[nodiscard]] static constexpr Rate of(std::uint32_t requests, std::chrono::seconds unit,
                                           std::uint32_t burst) noexcept {
        const auto unit_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(unit).count());
        return {(unit_ns + requests - 1) / requests, burst};
    }
};

/// The generic cell rate algorithm: of each key one number, the theoretical arrival time (TAT) at which all
/// that it took would be due at its rate. A view of memory that processes share; all zero: nobody came yet.
///
/// Processes may call at the same time, and die at any instruction. What holds all the same:
/// - While a key keeps its slot, at most `burst + 1 + time / period` of its requests pass, by whichever
///   process they come.
/// - A key may lose its slot and start anew, up to `burst + 1` requests ahead: when it is displaced (see
///   `displaced`), or, which is a matter of nanoseconds, when two processes give it two slots or another key
///   takes its slot, long unused, as it comes back.
/// - Nobody is told to wait longer than one period and a second, whatever stands in the memory.
/// Memory is bounded, and there is no error.
class RateTable {
 public:
    struct Decision {
        bool allowed;
        std::uint64_t retry_after_us;  ///< 0 when allowed, else after this long and not before
    };

    /// Keys that share a bucket, and are displaced from it.
    static constexpr std::size_t bucket_keys = 8;
    static constexpr std::size_t alignment = 128;

    /// Bytes for a table with room for `keys` that pay at once. With half as many in it, one new key in
    /// twenty finds its bucket full; with a quarter, one in nine hundred; with an eighth, one in a hundred
    /// thousand.
    [[nodiscard]] static constexpr std::size_t bytes_for(std::size_t keys) noexcept {
        return alignment * (1 + (keys + bucket_keys - 1) / bucket_keys);
    }

    /// `memory` is borrowed; aligned to `alignment`, `bytes_for(1)` or more, and zero when it is new.
    explicit RateTable(std::span<std::byte> memory) noexcept;

    /// One request of `key` (see `rate_key`) at `now_us` of CLOCK_MONOTONIC, which may be some milliseconds
    /// old, but not a second. A refused request costs nothing. After a change of its rate a key goes on with
    /// its TAT, unless the new rate could not have led there: then it starts anew.
    [[nodiscard]] Decision take(std::uint64_t key, const Rate& rate, std::uint64_t now_us) noexcept;

    /// How often a key that was not done paying lost its slot to a new one, because the bucket was full of
    /// such keys. It is always the one with the least to pay.
    [[nodiscard]] std::uint64_t displaced() const noexcept;

 private:
    struct Slot;
    struct Bucket;
    struct Head;

    Slot& slot_of(std::uint64_t key, std::uint64_t now_ns) noexcept;

    Head* head_;
    std::span<Bucket> buckets_;
};

}  // namespace ipc
