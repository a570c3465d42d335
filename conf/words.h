// conf/words.h: how a value is written: bare words, quoted text, and where a comment begins.
//
// A word that begins with a double quote runs to its closing quote and may hold white space and ` ;`;
// inside, \n \t \r \" \\ mean what they mean in C. Anything else is taken as it stands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace conf {

/// A value, or the sentence that says what is wrong with what was written.
template <class T>
using Parsed = tl::expected<T, std::string>;

/// The longest single text a value may hold, in bytes, with escapes resolved.
constexpr std::size_t text_bytes_max = 16 * 1024;

struct Word {
    std::string text;  ///< without quotes, escapes resolved
    bool quoted = false;
};

/// A word and what follows it, without the white space between.
struct Split {
    Word first;
    std::string_view rest;
};

[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] bool has_control_character(std::string_view text);

/// Takes the first word off `text`, which must not be blank.
[[nodiscard]] Parsed<Split> split_word(std::string_view text);

/// All words of `text`; none when it is blank.
[[nodiscard]] Parsed<std::vector<Word>> split_words(std::string_view text);

/// The only word of `text`; `what` names it in the complaint.
[[nodiscard]] Parsed<std::string> only_word(std::string_view text, std::string_view what);

/// Free text: one quoted word gives what is inside the quotes, anything else is taken as it stands.
[[nodiscard]] Parsed<std::string> free_text(std::string_view text);

/// `text` in quotes, so that every reader above gives it back.
[[nodiscard]] std::string quoted(std::string_view text);

/// As one word: bare where that reads the same, otherwise quoted.
[[nodiscard]] std::string as_word(std::string_view text);

/// As free text: bare where that reads the same, otherwise quoted.
[[nodiscard]] std::string as_text(std::string_view text);

/// What the author wrote, for a complaint: in quotes, one line, not endless.
[[nodiscard]] std::string shown(std::string_view text);

/// `value` without its inline comment: a `;` after white space and outside of quotes. Fails on a quote that
/// is not closed, because then nobody can say where the comment begins.
[[nodiscard]] Parsed<std::string_view> without_comment(std::string_view value);

}  // namespace conf
