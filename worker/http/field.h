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
    expect,
    host,
    if_match,
    if_modified_since,
    if_none_match,
    if_range,
    if_unmodified_since,
    range,
    referer,
    transfer_encoding,
    user_agent,
    x_forwarded_for,
    other,  ///< any other name; the number of known ones
};
constexpr std::size_t known_fields = static_cast<std::size_t>(Known::other);

/// By name, in any case.
[[nodiscard]] Known known_field(std::string_view name) noexcept;

}  // namespace worker::http
