// conf/log_variables.h: the variables of an access log's format, and how a format is taken apart.
// Here and not in worker/, so that `reeve -t` refuses exactly what a worker could not write.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "conf/nearest.h"

namespace conf {

/// Every variable; its value is the index of its name in `log_variables`.
enum class LogVariable : std::uint8_t {
    remote_addr,
    remote_port,
    remote_user,
    time_local,
    time_iso8601,
    msec,
    request,
    request_method,
    request_uri,
    server_protocol,
    host,
    status,
    body_bytes_sent,
    bytes_sent,
    request_length,
    request_time,
    connection,
    connection_requests,
    worker,
    pid,
    server_name,
    route,
    http_referer,
    http_user_agent,
    http_range,
    http_x_forwarded_for,
    upstream_addr,
    upstream_status,
    upstream_connect_time,
    upstream_header_time,
    upstream_response_time,
};

constexpr std::array<std::string_view, 31> log_variables{
    "remote_addr",
    "remote_port",
    "remote_user",
    "time_local",
    "time_iso8601",
    "msec",
    "request",
    "request_method",
    "request_uri",
    "server_protocol",
    "host",
    "status",
    "body_bytes_sent",
    "bytes_sent",
    "request_length",
    "request_time",
    "connection",
    "connection_requests",
    "worker",
    "pid",
    "server_name",
    "route",
    "http_referer",
    "http_user_agent",
    "http_range",
    "http_x_forwarded_for",
    "upstream_addr",
    "upstream_status",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_response_time",
};
static_assert(log_variables[static_cast<std::size_t>(LogVariable::upstream_response_time)] ==
              "upstream_response_time");

/// A variable's value, then text as it stands.
struct LogPiece {
    LogVariable variable;
    std::string text;
};

/// A format: text, then pieces. `combined` and `json` are names, not formats of this kind.
struct LogTemplate {
    std::string text;
    std::vector<LogPiece> pieces;
};

/// The variable of that name, or a complaint that names the nearest.
inline tl::expected<LogVariable, std::string> find_log_variable(std::string_view name) {
    for (const auto& known : log_variables)
        if (known == name) return static_cast<LogVariable>(&known - log_variables.data());
    std::string wrong = "unknown variable $" + std::string(name);
    if (const auto meant = nearest(name, log_variables); !meant.empty())
        wrong += "; did you mean $" + std::string(meant) + "?";
    return tl::make_unexpected(std::move(wrong));
}

/// Takes "$name", "${name}" and "$$" (a dollar sign) out of a format.
/// Fails on an unknown name, a lone "$", a control byte, and on a text without any variable.
inline tl::expected<LogTemplate, std::string> split_log_format(std::string_view format) {
    const auto wrong = [](std::string why) { return tl::make_unexpected(std::move(why)); };
    const auto in_name = [](char c) {
        return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };

    LogTemplate split;
    for (std::size_t at = 0; at < format.size();) {
        const char c = format[at];
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') return wrong("a control byte in the format");
        const bool dollar = format.substr(at, 2) == "$$";
        if (c != '$' || dollar) {
            (split.pieces.empty() ? split.text : split.pieces.back().text) += c;
            at += dollar ? 2 : 1;
            continue;
        }
        const bool braced = format.substr(at, 2) == "${";
        const std::size_t begin = at + (braced ? 2 : 1);
        std::size_t end = begin;
        while (end < format.size() && in_name(format[end])) ++end;
        if (braced && (end == format.size() || format[end] != '}'))
            return wrong("\"${\" without \"}\" in the format");
        if (begin == end) return wrong("\"$\" without a name in the format; write \"$$\" for a dollar sign");

        const auto variable = find_log_variable(format.substr(begin, end - begin));
        if (!variable) return wrong(variable.error());
        split.pieces.push_back({*variable, {}});
        at = end + (braced ? 1 : 0);
    }
    if (split.pieces.empty())
        return wrong("\"" + std::string(format) +
                     "\" is no format: combined, json, or a text with $variables");
    return split;
}

/// What `reeve -t` asks of the format of an `access_log`; empty: nothing is wrong with it.
inline std::string log_format_complaint(std::string_view format) {
    if (format == "combined" || format == "json") return {};
    const auto split = split_log_format(format);
    return split ? std::string() : split.error();
}

}  // namespace conf
