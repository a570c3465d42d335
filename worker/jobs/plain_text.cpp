#include "worker/jobs/plain_text.h"

#include <cstdint>

namespace worker::jobs {
namespace {

unsigned byte_of(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

/// How many bytes the character at the front has (RFC 3629 4); 0: that is none, or its end is missing.
std::size_t character_size(std::string_view bytes) {
    const unsigned first = byte_of(bytes, 0);
    if (first < 0x80) return 1;
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.size() < size) return 0;
    const unsigned second = byte_of(bytes, 1);
    // No longer than needed, no surrogates, nothing beyond U+10FFFF.
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    for (std::size_t at = 1; at < size; ++at)
        if ((byte_of(bytes, at) & 0xc0u) != 0x80) return 0;
    return size;
}

}  // namespace

std::string plain_text(std::string_view bytes, std::size_t bytes_max) {
    constexpr std::string_view space = " \t\r\n";
    const std::size_t begin = bytes.find_first_not_of(space);
    if (begin == std::string_view::npos) return {};
    bytes = bytes.substr(begin, bytes.find_last_not_of(space) + 1 - begin);
    std::string text;
    while (!bytes.empty()) {
        const std::size_t size = character_size(bytes);
        const bool plain = size > 1 || (size == 1 && byte_of(bytes, 0) >= 0x20 && bytes.front() != '\x7f');
        const std::size_t taken = size == 0 ? 1 : size;
        if (text.size() + taken > bytes_max) break;
        if (plain) {
            text.append(bytes.substr(0, taken));
        } else {
            text += bytes.front() == '\n' || bytes.front() == '\t' || bytes.front() == '\r' ? ' ' : '?';
        }
        bytes.remove_prefix(taken);
    }
    return text;
}

}  // namespace worker::jobs
