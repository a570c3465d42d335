// conf/units.h: numbers, sizes and times as they are written in the configuration.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "conf/words.h"

namespace conf {

/// A whole decimal number from `min` to `max`, digits only.
[[nodiscard]] Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max);

/// Bytes, or with `k`, `m`, `g` 1024-fold each; `min` and `max` in bytes.
[[nodiscard]] Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t min, std::uint64_t max);

/// `ms`, `s`, `m`, `h`, `d`; a bare number is seconds.
[[nodiscard]] Parsed<Milliseconds> parse_time(std::string_view text, Milliseconds min, Milliseconds max);

/// In the largest unit that says it exactly: 32k, 1500ms. What is printed parses to the same value.
[[nodiscard]] std::string print_size(std::uint64_t bytes);
[[nodiscard]] std::string print_time(Milliseconds time);

}  // namespace conf
