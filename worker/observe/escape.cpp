#include "worker/observe/escape.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace worker::observe {

namespace {

constexpr std::string_view hex_digits = "0123456789ABCDEF";

enum class Byte : std::uint8_t { plain, escape, not_ascii };

constexpr std::array<Byte, 256> classify() {
    std::array<Byte, 256> classes{};
    for (std::size_t byte = 0; byte < classes.size(); ++byte) {
        const bool control = byte < 0x20 || byte == 0x7f;
        if (control || byte == '"' || byte == '\\') classes[byte] = Byte::escape;
        if (byte >= 0x80) classes[byte] = Byte::not_ascii;
    }
    return classes;
}
constexpr auto byte_classes = classify();

/// Sixteen bytes compared at once; the compiler knows them as one register.
using Bytes = std::uint8_t __attribute__((vector_size(16)));

/// Whether sixteen bytes can be copied as they are.
template <bool ascii_only>
bool is_clean(const char* at) noexcept {
    Bytes bytes;
    std::memcpy(&bytes, at, sizeof bytes);
    auto found = (bytes < 0x20) | (bytes == 0x7f) | (bytes == '"') | (bytes == '\\');
    if constexpr (ascii_only) found |= bytes >= 0x80;
    const auto halves = std::bit_cast<std::array<std::uint64_t, 2>>(found);
    return (halves[0] | halves[1]) == 0;
}

/// How many bytes at the start can be copied as they are.
template <bool ascii_only>
std::size_t clean_run(std::string_view text) noexcept {
    std::size_t size = 0;
    while (text.size() - size >= sizeof(Bytes) && is_clean<ascii_only>(text.data() + size))
        size += sizeof(Bytes);
    const bool only_tail = size > 0 && text.size() - size < sizeof(Bytes);
    if (only_tail && is_clean<ascii_only>(text.data() + text.size() - sizeof(Bytes))) return text.size();

    for (; size < text.size(); ++size) {
        const Byte found = byte_classes[static_cast<unsigned char>(text[size])];
        if (found == Byte::escape || (ascii_only && found == Byte::not_ascii)) break;
    }
    return size;
}

/// Bytes of the UTF-8 sequence at the start (Unicode, table 3-7: no overlong forms, no surrogates); 0: none.
std::size_t utf8_sequence(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const auto continues = [&](std::size_t i) { return (at(i) & 0xc0u) == 0x80u; };

    const unsigned lead = at(0);
    if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f)) return 0;
        return continues(1) && continues(2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if ((lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f)) return 0;
        return continues(1) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

std::array<char, 2> hex(char byte) {
    const auto value = static_cast<unsigned char>(byte);
    return {hex_digits[value >> 4u], hex_digits[value & 0x0fu]};
}

}  // namespace

void append_escaped(std::string& out, std::string_view text) {
    for (;;) {
        const std::size_t clean = clean_run<false>(text);
        out.append(text.data(), clean);
        if (clean == text.size()) return;
        out.append("\\x").append(hex(text[clean]).data(), 2);
        text.remove_prefix(clean + 1);
    }
}

std::size_t count_escapes(std::string_view text) noexcept {
    std::size_t escapes = 0;
    for (;;) {
        const std::size_t clean = clean_run<false>(text);
        if (clean == text.size()) return escapes;
        ++escapes;
        text.remove_prefix(clean + 1);
    }
}

char* write_escaped(char* at, std::string_view text) noexcept {
    for (const char byte : text) {
        if (byte_classes[static_cast<unsigned char>(byte)] != Byte::escape) {
            *at++ = byte;
            continue;
        }
        const auto digits = hex(byte);
        at = std::copy_n("\\x", 2, at);
        at = std::copy(digits.begin(), digits.end(), at);
    }
    return at;
}

void append_json_escaped(std::string& out, std::string_view text) {
    for (;;) {
        const std::size_t clean = clean_run<true>(text);
        out.append(text.data(), clean);
        if (clean == text.size()) return;
        text.remove_prefix(clean);

        const char byte = text.front();
        if (byte_classes[static_cast<unsigned char>(byte)] == Byte::escape) {
            if (byte == '"' || byte == '\\') {
                out.push_back('\\');
                out.push_back(byte);
            } else {
                out.append("\\u00").append(hex(byte).data(), 2);
            }
            text.remove_prefix(1);
        } else if (const std::size_t size = utf8_sequence(text); size > 0) {
            out.append(text.data(), size);
            text.remove_prefix(size);
        } else {
            out.append("\xEF\xBF\xBD");
            text.remove_prefix(1);
        }
    }
}

}  // namespace worker::observe
