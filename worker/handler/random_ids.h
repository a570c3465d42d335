// worker/handler/random_ids.h: names for requests that have none.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

namespace worker::handler {

/// SplitMix64 from a random start: unique, and nobody's secret.
class RandomIds {
 public:
    RandomIds() : state_(std::random_device{}()) { state_ = state_ << 32 | std::random_device{}(); }

    using Word = std::array<char, 16>;  ///< digits
    [[nodiscard]] Word next() noexcept {
        std::uint64_t value = state_ += 0x9e3779b97f4a7c15u;
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
        value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
        value ^= value >> 31;
        const std::uint64_t digits[] = {hex_digits(static_cast<std::uint32_t>(value)),
                                        hex_digits(static_cast<std::uint32_t>(value >> 32))};
        Word text;
        static_assert(sizeof digits == sizeof text);
        std::memcpy(text.data(), digits, sizeof text);
        return text;
    }
    void append_hex(std::string& out, unsigned words) {
        for (unsigned word = 0; word < words; ++word) {
            const Word digits = next();
            out.append(digits.data(), digits.size());
        }
    }

 private:
    /// A nibble a byte, as digits.
    static std::uint64_t hex_digits(std::uint32_t value) noexcept {
        constexpr std::uint64_t ones = 0x0101010101010101u;
        std::uint64_t digits = value;
        digits = (digits | digits << 16) & 0x0000ffff0000ffffu;
        digits = (digits | digits << 8) & 0x00ff00ff00ff00ffu;
        digits = (digits | digits << 4) & 0x0f0f0f0f0f0f0f0fu;
        const std::uint64_t letters = (digits + 6 * ones) >> 4 & ones;
        return digits + '0' * ones + letters * ('a' - '0' - 10);
    }

    std::uint64_t state_;
};

}  // namespace worker::handler
