// ipc/shared_text.h: short texts in shared memory, written without waiting and readable after any death.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace ipc {

/// A seqlock of one writer: the sequence is odd while the text changes.
template <std::size_t Bytes>
class SharedText {
    static_assert(Bytes % sizeof(std::uint64_t) == 0);

 public:
    static constexpr std::size_t text_max = Bytes;

    /// The writer alone. Cut at `text_max`.
    void set(std::string_view text) noexcept {
        const std::size_t length = std::min(text.size(), text_max);
        // Each word is stored with release and loaded with acquire: whoever sees a new word also sees the
        // odd sequence. On x86 these are plain moves.
        const auto sequence = sequence_.load(std::memory_order_relaxed);
        sequence_.store(sequence + 1, std::memory_order_relaxed);
        for (std::size_t word = 0; word * word_bytes < length; ++word) {
            std::uint64_t value = 0;
            std::memcpy(&value, text.data() + word * word_bytes,
                        std::min(word_bytes, length - word * word_bytes));
            words_[word].store(value, std::memory_order_release);
        }
        length_.store(static_cast<std::uint32_t>(length), std::memory_order_release);
        sequence_.store(sequence + 2, std::memory_order_release);
    }
    /// The writer alone.
    void clear() noexcept { length_.store(0, std::memory_order_relaxed); }

    /// Any process, also after the writer's death. Printable ASCII only: what else a client sent, or what a
    /// crash left half written, reads as '?'.
    [[nodiscard]] std::string get() const {
        std::array<std::uint64_t, Bytes / word_bytes> words{};
        std::size_t length = 0;
        for (int tries = 0; tries < read_tries_max; ++tries) {
            const auto before = sequence_.load(std::memory_order_acquire);
            length = std::min<std::size_t>(length_.load(std::memory_order_acquire), Bytes);
            for (std::size_t word = 0; word < words.size(); ++word)
                words[word] = words_[word].load(std::memory_order_acquire);
            if (before % 2 == 0 && sequence_.load(std::memory_order_relaxed) == before) break;
        }
        // A writer that died half-way, or never rests, leaves a mixture: still worth showing.
        std::string text(length, '\0');
        std::memcpy(text.data(), words.data(), length);
        std::replace_if(
            text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
        return text;
    }

 private:
    static constexpr std::size_t word_bytes = sizeof(std::uint64_t);
    static constexpr int read_tries_max = 4;

    std::atomic<std::uint32_t> sequence_{0};
    std::atomic<std::uint32_t> length_{0};
    std::array<std::atomic<std::uint64_t>, Bytes / word_bytes> words_{};
};

}  // namespace ipc
