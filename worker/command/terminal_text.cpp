#include "worker/command/terminal_text.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace worker::command {
namespace {

struct Character {
    std::size_t size = 0;  ///< bytes; 0: the first byte belongs to none
    char32_t code = 0;
};

bool continues(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xc0u) == 0x80; }

/// At the front (RFC 3629).
Character first_of(std::string_view bytes) {
    const auto byte = [&](std::size_t at) {
        return static_cast<char32_t>(static_cast<unsigned char>(bytes[at]));
    };
    const char32_t first = byte(0);
    if (first < 0x80) return {1, first};
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || bytes.size() < size) return {};
    char32_t code = first & (0xffu >> (size + 1));
    for (std::size_t at = 1; at < size; ++at) {
        if (!continues(bytes[at])) return {};
        code = (code << 6) | (byte(at) & 0x3fu);
    }
    constexpr std::array<char32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
    if (code < least.at(size) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
    return {size, code};
}

bool misleads(char32_t code) noexcept {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) ||  // C0, DEL, C1
           code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) ||                  // line ends, directions
           code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb);  // nothing to be seen
}

}  // namespace

std::string terminal_text(std::string_view bytes, bool lines) {
    std::string text;
    text.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto next = first_of(bytes);
        const std::size_t taken = std::max<std::size_t>(next.size, 1);
        const bool stays = lines && (bytes.front() == '\n' || bytes.front() == '\t');
        if (stays || (next.size != 0 && !misleads(next.code)))
            text += bytes.substr(0, taken);
        else if (next.size > 1)
            text += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(next.code));
        else
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
        bytes.remove_prefix(taken);
    }
    return text;
}

std::size_t columns_of(std::string_view text) noexcept {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return !continues(byte); }));
}

std::string shortened(std::string text, std::size_t columns_max) {
    constexpr std::string_view rest = "...";
    if (columns_of(text) <= columns_max) return text;
    std::size_t columns = 0, at = 0;
    for (; at < text.size(); ++at)
        if (!continues(text[at]) && ++columns + rest.size() > columns_max) break;
    text.resize(at);
    text += rest;
    return text;
}

}  // namespace worker::command
