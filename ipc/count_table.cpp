// ipc/count_table.cpp: a key and its count in one word, eight words a cache line.
#include "ipc/count_table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

namespace ipc {

struct alignas(CountTable::alignment) CountTable::Line {
    std::array<std::atomic<std::uint64_t>, line_keys> words;
};

namespace {

// A word is 40 bits of the key above 24 bits of count; without a count it is 0. So both change together, and
// a reader sees no count of another key. Should a key stand in two words of a line, both count.
constexpr unsigned counted_bits = 24;
constexpr std::uint64_t count_mask = (std::uint64_t{1} << counted_bits) - 1;

bool is_of(std::uint64_t word, std::uint64_t key) {
    return word != 0 && word >> counted_bits == (key & (~std::uint64_t{0} >> counted_bits));
}

}  // namespace

CountTable::CountTable(std::span<std::byte> memory, std::uint32_t rows) noexcept
    : memory_(reinterpret_cast<Line*>(memory.data())),
      rows_(rows),
      row_lines_(memory.size() / sizeof(Line) / std::max(rows, 1u)) {
    static_assert(sizeof(Line) == alignment);
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
    if (rows == 0 || row_lines_ < 2 || reinterpret_cast<std::uintptr_t>(memory.data()) % alignment != 0)
        std::abort();
}

CountTable::Entry CountTable::enter(std::uint32_t row, std::uint32_t rows_used, std::uint64_t key,
                                    std::uint32_t max) noexcept {
    if (max > max_largest) std::abort();
    Line& line = line_of(row, key);
    // The order is the promise: all atomics here are sequentially consistent.
    const bool counted = add(line, key);
    const auto running = count(std::max(rows_used, row + 1), key) + (counted ? 0 : 1);
    if (running <= max) {
        if (counted) return Entry::counted;
        row_of(row)[0].words[0].fetch_add(1);
        return Entry::uncounted;
    }
    if (counted) subtract(line, key);
    return Entry::refused;
}

void CountTable::leave(std::uint32_t row, std::uint64_t key) noexcept { subtract(line_of(row, key), key); }

void CountTable::clear(std::uint32_t row) noexcept {
    for (auto& line : row_of(row).subspan(1))
        for (auto& word : line.words) word.store(0);
}

std::uint64_t CountTable::count(std::uint32_t rows_used, std::uint64_t key) const noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t row = 0; row < std::min(rows_used, rows_); ++row)
        for (const auto& slot : line_of(row, key).words)
            if (const auto word = slot.load(); is_of(word, key)) sum += word & count_mask;
    return sum;
}

std::uint64_t CountTable::uncounted(std::uint32_t row) const noexcept {
    return row_of(row)[0].words[0].load();
}

std::span<CountTable::Line> CountTable::row_of(std::uint32_t row) const noexcept {
    if (row >= rows_) std::abort();
    return {memory_ + row * row_lines_, row_lines_};
}

CountTable::Line& CountTable::line_of(std::uint32_t row, std::uint64_t key) const noexcept {
    // The high bits choose the line, the low ones are the tag.
    return row_of(row)[1 + (((key >> 32) * (row_lines_ - 1)) >> 32)];
}

/// False: the line is full of other keys.
bool CountTable::add(Line& line, std::uint64_t key) noexcept {
    for (auto& slot : line.words)
        for (auto word = slot.load(); is_of(word, key);)
            if (slot.compare_exchange_weak(word, word + 1)) return true;
    for (auto& slot : line.words)
        if (std::uint64_t word = 0; slot.compare_exchange_strong(word, key << counted_bits | 1)) return true;
    return false;
}

void CountTable::subtract(Line& line, std::uint64_t key) noexcept {
    for (auto& slot : line.words)
        for (auto word = slot.load(); is_of(word, key);)
            if (slot.compare_exchange_weak(word, (word & count_mask) == 1 ? 0 : word - 1)) return;
}

}  // namespace ipc
