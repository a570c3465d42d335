// worker/http/host.h: the Host header and other names that ignore case.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace worker::http {

/// Whether `host` is what RFC 3986 3.2 calls host [":" port]: a name, an IPv4 address or "[IPv6]". Empty is
/// valid and means "no name". Refused beyond the grammar: user information, empty labels ("a..b", "."), ports
/// above 65535, and IPvFuture, of which there is none.
[[nodiscard]] bool valid_host(std::string_view host);

/// Without the port and the dot of the root; brackets stay: "a.org.:80" gives "a.org". Wants a valid host.
[[nodiscard]] std::string_view host_name(std::string_view host);

/// ASCII only, as HTTP wants it.
[[nodiscard]] constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
[[nodiscard]] std::string lower(std::string_view text);
/// Into `out`, which has room for `text.size()`; gives a view of what it wrote.
std::string_view lower(std::string_view text, char* out);

[[nodiscard]] inline bool equals_ignore_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    if (a == b) return true;  // as nearly always
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

}  // namespace worker::http
