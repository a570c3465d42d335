// tests/fuzz/target_property.h: what holds for the request target, whatever the bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/property.h"
#include "worker/http/host.h"
#include "worker/http/target.h"

namespace fuzz {

/// Every byte but "/" as an escape.
inline std::string escape_all(std::string_view path) {
    constexpr std::string_view digits = "0123456789aBcDeF";
    std::string text;
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '/')
            text += c;
        else
            text.append({'%', digits[byte >> 4], digits[byte & 15]});
    }
    return text;
}

/// Whether a query may consist of these.
inline bool printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '#'; });
}

/// The same path by a slow and plain way: decode all, cut at slashes, keep a stack.
inline std::optional<std::string> normalise_plainly(std::string_view raw) {
    std::string decoded;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        char c = raw[i];
        if (!printable({&c, 1}) || c == '\\') return std::nullopt;
        if (c == '%') {
            const std::string hex(raw.substr(i + 1, 2));
            if (hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos || hex.size() != 2)
                return std::nullopt;
            c = static_cast<char>(std::stoi(hex, nullptr, 16));
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
            i += 2;
        }
        decoded += c;
    }
    std::vector<std::string> segments;
    bool folder = true;  // whether the path ends in a slash
    for (std::size_t at = 0; at < decoded.size();) {
        const std::size_t end = std::min(decoded.find('/', at), decoded.size());
        const std::string segment = decoded.substr(at, end - at);
        at = end + 1;
        folder = end < decoded.size() || segment.empty() || segment == "." || segment == "..";
        if (segment == "..") {
            if (segments.empty()) return std::nullopt;
            segments.pop_back();
        } else if (!segment.empty() && segment != ".") {
            segments.push_back(segment);
        }
    }
    std::string path;
    for (const std::string& segment : segments) path += "/" + segment;
    if (folder || path.empty()) path += "/";
    return path;
}

inline void check_normal(std::string_view path) {
    require(path.starts_with('/'));
    require((std::string(path) + "/").find("/../") == std::string::npos);
    require((std::string(path) + "/").find("/./") == std::string::npos);
    require(path.find("//") == path.npos);
    for (const char c : path) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

/// The path is normal and stays what it is when it is encoded and parsed again, and the plain way agrees.
inline void check_target(std::string_view bytes) {
    using worker::http::parse_target;
    std::string scratch;
    for (const std::string_view method : {"GET", "OPTIONS", "CONNECT"}) {
        const auto target = parse_target(method, bytes, scratch);
        if (method == "GET" && bytes.starts_with('/')) {
            const std::size_t end = std::min(bytes.find('?'), bytes.size());
            const auto plain = normalise_plainly(bytes.substr(0, end));
            if (target) require(plain && target->path == *plain && target->has_query == (end < bytes.size()));
            if (!target) require(!plain || !printable(bytes.substr(end)));
        }
        if (!target) continue;
        require(method != "CONNECT" && (!target->asterisk || method == "OPTIONS"));
        require(worker::http::valid_host(target->authority));
        require(printable(target->query));
        check_normal(target->path);

        const std::string escaped = escape_all(target->path);
        std::string again;
        const auto repeated = parse_target(method, escaped, again);
        require(repeated && repeated->path == target->path && !repeated->has_query);
    }
}

}  // namespace fuzz
