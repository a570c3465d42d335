// conf/nearest.h: which of the valid names a misspelt one was meant to be.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace conf {

/// How many characters must be changed, added, dropped or swapped with their neighbour.
[[nodiscard]] std::size_t distance(std::string_view a, std::string_view b);

/// The name closest to `wrong`; empty when none is close enough to be what was meant.
[[nodiscard]] std::string_view nearest(std::string_view wrong, std::span<const std::string_view> names);

/// "; did you mean `NAME`?", or "; valid: a, b, c" when no name is close, or nothing when there is none.
[[nodiscard]] std::string hint(std::string_view wrong, std::span<const std::string_view> names);

}  // namespace conf
