// worker/http/date.h: HTTP dates (RFC 9110 5.6.7), to and from Unix seconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace worker::http {

/// IMF-fixdate, RFC 850 and asctime, to the letter; nullopt for everything else. The name of the day
/// must be one, but need not fit the date. A leap second (:60) is the first second of the next minute.
/// A year of two digits that would lie more than 50 years after `now` (Unix seconds) is in the past.
[[nodiscard]] std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now);

/// The same by the system's clock.
[[nodiscard]] std::optional<std::int64_t> parse_date(std::string_view text);

/// IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT", not terminated. Outside the years 0 to 9999: the nearest
/// second inside.
void format_date(std::int64_t unix_seconds, char (&out)[29]);

}  // namespace worker::http
