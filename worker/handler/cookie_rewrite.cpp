#include "worker/handler/cookie_rewrite.h"

#include <algorithm>

#include "worker/http/host.h"

namespace worker::handler {
namespace {

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// A dot in front means nothing (RFC 6265 5.2.3).
std::string_view without_dot(std::string_view domain) {
    if (domain.starts_with('.')) domain.remove_prefix(1);
    return domain;
}

/// What takes the place of `value`, in two pieces; false: nothing does.
struct Replaced {
    bool is = false;
    std::string_view with, rest;
};

Replaced replaced(std::string_view name, std::string_view value, const conf::Proxy& terms) {
    if (http::equals_ignore_case(name, "domain")) {
        for (const auto& [from, to] : terms.cookie_domain)
            if (http::equals_ignore_case(without_dot(value), without_dot(from))) return {true, to, {}};
    } else if (http::equals_ignore_case(name, "path")) {
        for (const auto& [from, to] : terms.cookie_path)
            if (value.starts_with(from)) return {true, to, value.substr(from.size())};
    }
    return {};
}

}  // namespace

void append_cookie(std::string& out, std::string_view cookie, const conf::Proxy& terms) {
    for (bool first = true; first || !cookie.empty(); first = false) {
        const std::string_view piece = cookie.substr(0, cookie.find(';', first ? 0 : 1));
        cookie.remove_prefix(piece.size());
        const std::string_view attribute = first ? piece : trimmed(piece.substr(1));
        const auto equals = attribute.find('=');
        const Replaced by = first || equals == std::string_view::npos
                                ? Replaced{}
                                : replaced(trimmed(attribute.substr(0, equals)),
                                           trimmed(attribute.substr(equals + 1)), terms);
        if (!by.is) {
            out.append(piece);
        } else if (!by.with.empty() || !by.rest.empty()) {
            out.append("; ").append(attribute.substr(0, equals + 1)).append(by.with).append(by.rest);
        }
    }
}

}  // namespace worker::handler
