// worker/http/field.h: the header fields we act on, found by name once, at parsing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace worker::http {

enum class Known : std::uint8_t {
    accept,
    accept_encoding,
    connection,
    content_length,
    content_type,
    date,
    expect,
    forwarded,
    host,
    if_match,
    if_modified_since,
    if_none_match,
    if_range,
    if_unmodified_since,
    keep_alive,
    location,
    proxy_connection,
    range,
    referer,
    server,
    set_cookie,
    te,
    traceparent,
    trailer,
    transfer_encoding,
    upgrade,
    user_agent,
    via,
    x_forwarded_for,
    x_forwarded_host,
    x_forwarded_proto,
    x_request_id,
    other,  ///< any other name; the number of known ones
};
constexpr std::size_t known_fields = static_cast<std::size_t>(Known::other);

/// By name, in any case.
[[nodiscard]] Known known_field(std::string_view name) noexcept;

}  // namespace worker::http
