// worker/observe/escape.h: makes what a client sent harmless in a log line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace worker::observe {

/// Appends `text` with control bytes, '"' and '\' as \xHH, the way Nginx writes them.
/// Unlike Nginx it keeps bytes from 0x80 on, so that UTF-8 stays readable: view such logs as UTF-8.
void append_escaped(std::string& out, std::string_view text);

/// How many bytes of `text` would become a \xHH.
[[nodiscard]] std::size_t count_escapes(std::string_view text) noexcept;
/// The same into memory with room for `text` and three bytes more for each escape; returns the end.
[[nodiscard]] char* write_escaped(char* at, std::string_view text) noexcept;

/// Appends `text` as the inside of a JSON string: always valid UTF-8.
/// Each byte that belongs to no valid sequence becomes U+FFFD.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace worker::observe
