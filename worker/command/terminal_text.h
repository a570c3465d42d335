// worker/command/terminal_text.h: texts of strangers on somebody's terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace worker::command {

/// What a terminal would obey, or show so that it misleads, is written out instead: control characters, also
/// those of two bytes, what turns the direction of writing, and bytes that are no UTF-8 (`\x1b`, `\u{202e}`).
/// `lines`: line feeds and tabs stay.
[[nodiscard]] std::string terminal_text(std::string_view bytes, bool lines = false);

/// Columns that it takes, about: one a character.
[[nodiscard]] std::size_t columns_of(std::string_view text) noexcept;
/// Cut at so many characters, with `...` for what is missing.
[[nodiscard]] std::string shortened(std::string text, std::size_t columns_max);

}  // namespace worker::command
