// ipc/count_table.h: how many requests of each key run at once, over all workers and without a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ipc {

/// Each worker counts in a row of its own, and what runs is the sum over all rows: so whoever dies takes
/// nothing along that `clear` does not bring back. A view of memory that processes share; all zero: nothing
/// runs.
///
/// Processes may call at the same time, and die at any instruction. What holds all the same:
/// - Never more than `max` requests of a key are `counted` at once. A request adds itself first, then sums up
///   all rows, and takes itself back when that is above `max`. Of all that run, look at the one that added
///   itself last: it saw all the others.
/// - The price: workers that ask for the last places in the same moment may all be refused.
/// - The dead count until their row is cleared.
/// - One thread a row is meant. Should there be more, as when a master dies and the next one hands out the
///   rows of workers that still drain, no count is lost; they may see too few while both change one key.
/// Reading costs one cache line a row.
class CountTable {
 public:
    enum class Entry : std::uint8_t {
        refused,    ///< `max` run already
        counted,    ///< runs: `leave` when it ends
        uncounted,  ///< runs unlimited, for want of room in the row: do not `leave`
    };

    static constexpr std::uint32_t max_largest = (1u << 24) - (1u << 16);
    /// Keys that share a line of a row, and find no room when it is full.
    static constexpr std::size_t line_keys = 8;
    static constexpr std::size_t alignment = 64;

    /// Bytes of `rows` with room for `keys` each, that run at once; see `RateTable::bytes_for`.
    /// Rows never used take no memory.
    [[nodiscard]] static constexpr std::size_t bytes_for(std::uint32_t rows, std::size_t keys) noexcept {
        return rows * alignment * (1 + (keys + line_keys - 1) / line_keys);
    }

    /// `memory` is borrowed; aligned to `alignment`, `bytes_for(rows, 1)` or more, and zero when it is new.
    CountTable(std::span<std::byte> memory, std::uint32_t rows) noexcept;

    /// One request of `key` (see `rate_key`) in the caller's row, when fewer than `max` (up to `max_largest`)
    /// run. Rows from `rows_used` on were never used; read it anew each time, as `Scoreboard::rows_used`.
    [[nodiscard]] Entry enter(std::uint32_t row, std::uint32_t rows_used, std::uint64_t key,
                              std::uint32_t max) noexcept;

    /// A `counted` request of that row ended. Does nothing when the row has none: it may have been cleared.
    void leave(std::uint32_t row, std::uint64_t key) noexcept;

    /// The row's worker is no more, and what it counted ended with it. Its `uncounted` stay.
    void clear(std::uint32_t row) noexcept;

    /// Requests of `key` that run.
    [[nodiscard]] std::uint64_t count(std::uint32_t rows_used, std::uint64_t key) const noexcept;

    /// Requests of that row ever let through for want of room.
    [[nodiscard]] std::uint64_t uncounted(std::uint32_t row) const noexcept;

 private:
    struct Line;

    [[nodiscard]] std::span<Line> row_of(std::uint32_t row) const noexcept;
    [[nodiscard]] Line& line_of(std::uint32_t row, std::uint64_t key) const noexcept;
    static bool add(Line& line, std::uint64_t key) noexcept;
    static void subtract(Line& line, std::uint64_t key) noexcept;

    Line* memory_;
    std::uint32_t rows_;
    std::size_t row_lines_;  ///< the first holds what was uncounted
};

}  // namespace ipc
