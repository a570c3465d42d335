#include "worker/http/field.h"

#include <cstring>

namespace worker::http {
namespace {

/// A word of each, in any case: 0 when they are the same. In `known` are letters in lower case and '-' alone;
/// letters, and only they, have the bit next to the one that tells their case.
template <class Word>
Word difference(const char* name, const char* known) noexcept {
    constexpr Word letters = static_cast<Word>(0x4040404040404040u);
    Word a = 0, b = 0;
    std::memcpy(&a, name, sizeof a);
    std::memcpy(&b, known, sizeof b);
    return static_cast<Word>((a | (b & letters) >> 1) ^ b);
}

/// Whether both are the same in any case, where they are as long: in words, some of which overlap.
template <std::size_t Size>
bool same(const char* name, const char (&known)[Size]) noexcept {
    constexpr std::size_t size = Size - 1;
    if constexpr (size >= 8) {
        std::uint64_t all = difference<std::uint64_t>(name + size - 8, known + size - 8);
        for (std::size_t at = 0; at + 8 < size; at += 8)
            all |= difference<std::uint64_t>(name + at, known + at);
        return all == 0;
    } else if constexpr (size >= 4) {
        return (difference<std::uint32_t>(name, known) |
                difference<std::uint32_t>(name + size - 4, known + size - 4)) == 0;
    } else {
        return (difference<std::uint16_t>(name, known) |
                difference<std::uint16_t>(name + size - 2, known + size - 2)) == 0;
    }
}

}  // namespace

Known known_field(std::string_view name) noexcept {
    const auto is = [name](const auto& known) { return same(name.data(), known); };
    switch (name.size()) {
        case 2: return is("te") ? Known::te : Known::other;
        case 3: return is("via") ? Known::via : Known::other;
        case 4:
            if (is("date")) return Known::date;
            return is("host") ? Known::host : Known::other;
        case 5: return is("range") ? Known::range : Known::other;
        case 6:
            if (is("accept")) return Known::accept;
            if (is("expect")) return Known::expect;
            return is("server") ? Known::server : Known::other;
        case 7:
            if (is("referer")) return Known::referer;
            if (is("trailer")) return Known::trailer;
            return is("upgrade") ? Known::upgrade : Known::other;
        case 8:
            if (is("if-match")) return Known::if_match;
            if (is("if-range")) return Known::if_range;
            return is("location") ? Known::location : Known::other;
        case 9: return is("forwarded") ? Known::forwarded : Known::other;
        case 10:
            if (is("connection")) return Known::connection;
            if (is("keep-alive")) return Known::keep_alive;
            if (is("set-cookie")) return Known::set_cookie;
            return is("user-agent") ? Known::user_agent : Known::other;
        case 11: return is("traceparent") ? Known::traceparent : Known::other;
        case 12:
            if (is("content-type")) return Known::content_type;
            return is("x-request-id") ? Known::x_request_id : Known::other;
        case 13: return is("if-none-match") ? Known::if_none_match : Known::other;
        case 14: return is("content-length") ? Known::content_length : Known::other;
        case 15:
            if (is("accept-encoding")) return Known::accept_encoding;
            return is("x-forwarded-for") ? Known::x_forwarded_for : Known::other;
        case 16:
            if (is("proxy-connection")) return Known::proxy_connection;
            return is("x-forwarded-host") ? Known::x_forwarded_host : Known::other;
        case 17:
            if (is("if-modified-since")) return Known::if_modified_since;
            if (is("transfer-encoding")) return Known::transfer_encoding;
            return is("x-forwarded-proto") ? Known::x_forwarded_proto : Known::other;
        case 19: return is("if-unmodified-since") ? Known::if_unmodified_since : Known::other;
        default: return Known::other;
    }
}

}  // namespace worker::http
