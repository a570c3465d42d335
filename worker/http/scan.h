// worker/http/scan.h: how far a field's name and its value go, sixteen bytes at a time where the processor
// can.
#pragma once

#include <bit>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "worker/http/head.h"

namespace worker::http {

/// RFC 9110 5.5: what a value may have in it; RFC 9112 4: and a reason.
constexpr bool is_text(char c) noexcept {
    return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
}

/// The first byte that may not stand in a token.
[[nodiscard]] inline const char* skip_token(const char* at, const char* end) noexcept {
#ifdef __SSE2__
    // Letters and '-' are what names are made of; what is neither is looked at by itself, and all behind it.
    if (end - at >= 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        const __m128i letters = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                              _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
        const __m128i dashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));
        const int usual = _mm_movemask_epi8(_mm_or_si128(letters, dashes));
        at += std::countr_one(static_cast<std::uint32_t>(usual));
    }
#endif
    while (at < end && is_token_byte(*at)) ++at;
    return at;
}

/// The first byte that is no text.
[[nodiscard]] inline const char* skip_text(const char* at, const char* end) noexcept {
#ifdef __SSE2__
    while (end - at >= 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        // As signed numbers, bytes from 0x80 on are below a space too.
        const __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
        const __m128i high = _mm_cmplt_epi8(bytes, _mm_setzero_si128());
        const __m128i tabs = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
        const __m128i odd = _mm_or_si128(_mm_andnot_si128(_mm_or_si128(high, tabs), below),
                                         _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\x7f')));
        if (const int found = _mm_movemask_epi8(odd); found != 0)
            return at + std::countr_zero(static_cast<std::uint32_t>(found));
        at += 16;
    }
#endif
    while (at < end && is_text(*at)) ++at;
    return at;
}

}  // namespace worker::http
