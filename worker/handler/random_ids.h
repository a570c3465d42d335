// worker/handler/random_ids.h: names for requests that have none.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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
        return hex(value);
    }
    using Number = std::array<char, 32>;  ///< likewise, of two words
    [[nodiscard]] Number number() noexcept {
        const Word high = next(), low = next();
        Number text;
        std::memcpy(text.data(), high.data(), high.size());
        std::memcpy(text.data() + high.size(), low.data(), low.size());
        return text;
    }
    void append_hex(std::string& out, unsigned words) {
        for (unsigned word = 0; word < words; ++word) {
            const Word digits = next();
            out.append(digits.data(), digits.size());
        }
    }

 private:
    static Word hex(std::uint64_t value) noexcept {
        Word text;
#ifdef __SSE2__
        const __m128i nibble = _mm_set1_epi8(0x0f);
        const __m128i bytes = _mm_cvtsi64_si128(static_cast<long long>(value));
        const __m128i digits =
            _mm_unpacklo_epi8(_mm_and_si128(bytes, nibble), _mm_and_si128(_mm_srli_epi64(bytes, 4), nibble));
        const __m128i letters = _mm_cmpgt_epi8(digits, _mm_set1_epi8(9));
        const __m128i text_bytes = _mm_add_epi8(_mm_add_epi8(digits, _mm_set1_epi8('0')),
                                                _mm_and_si128(letters, _mm_set1_epi8('a' - '0' - 10)));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(text.data()), text_bytes);
#else
        const std::uint64_t digits[] = {hex_digits(static_cast<std::uint32_t>(value)),
                                        hex_digits(static_cast<std::uint32_t>(value >> 32))};
        static_assert(sizeof digits == sizeof text);
        std::memcpy(text.data(), digits, sizeof text);
#endif
        return text;
    }
#ifndef __SSE2__
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
#endif

    std::uint64_t state_;
};

}  // namespace worker::handler
