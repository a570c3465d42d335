#include "worker/http/host.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace worker::http {
namespace {

enum class Kind : std::uint8_t { refused, name, dot, percent };

/// What each byte of a reg-name may be (RFC 3986 3.2.2): unreserved and sub-delims as they are.
constexpr std::array<Kind, 256> kinds = [] {
    std::array<Kind, 256> table{};
    for (unsigned c = '0'; c <= '9'; ++c) table[c] = Kind::name;
    for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = Kind::name;
    for (const char c : std::string_view("-_~!$&'()*+,;=")) table[static_cast<unsigned char>(c)] = Kind::name;
    table['.'] = Kind::dot;
    table['%'] = Kind::percent;
    return table;
}();

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }

/// What follows the host: nothing, or ":" and a port, whose digits may be missing.
bool valid_port(std::string_view text) {
    if (text.empty()) return true;
    if (text.front() != ':') return false;
    std::uint32_t port = 0;
    for (const char c : text.substr(1)) {
        if (!is_digit(c)) return false;
        port = port * 10 + static_cast<std::uint32_t>(c - '0');
        if (port > 65'535) return false;
    }
    return true;
}

bool valid_ipv6(std::string_view address) {
    char text[INET6_ADDRSTRLEN];
    if (address.size() >= sizeof text || address.find('\0') != address.npos) return false;
    std::memcpy(text, address.data(), address.size());
    text[address.size()] = '\0';
    in6_addr parsed;
    return ::inet_pton(AF_INET6, text, &parsed) == 1;
}

bool valid_name(std::string_view name) {
    bool label = false;  // whether the current one has a byte yet
    for (std::size_t i = 0; i < name.size(); ++i) {
        switch (kinds[static_cast<unsigned char>(name[i])]) {
            case Kind::refused: return false;
            case Kind::name: label = true; break;
            case Kind::dot:
                if (!label) return false;
                label = false;
                break;
            case Kind::percent:
                if (name.size() - i < 3 || !is_hex(name[i + 1]) || !is_hex(name[i + 2])) return false;
                i += 2;
                label = true;
                break;
        }
    }
    return !name.empty();
}

}  // namespace

bool valid_host(std::string_view host) {
    if (host.empty()) return true;
    if (host.front() == '[') {
        const std::size_t end = host.find(']');
        return end != host.npos && valid_ipv6(host.substr(1, end - 1)) && valid_port(host.substr(end + 1));
    }
    const std::size_t end = std::min(host.find(':'), host.size());
    return valid_name(host.substr(0, end)) && valid_port(host.substr(end));
}

std::string_view host_name(std::string_view host) {
    if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
    host = host.substr(0, host.find(':'));
    if (host.ends_with('.')) host.remove_suffix(1);
    return host;
}

std::string lower(std::string_view text) {
    std::string result(text.size(), '\0');
    lower(text, result.data());
    return result;
}

std::string_view lower(std::string_view text, char* out) {
    for (std::size_t i = 0; i < text.size(); ++i) out[i] = lower(text[i]);
    return {out, text.size()};
}

}  // namespace worker::http
