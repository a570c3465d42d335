#include "conf/words.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace conf {
namespace {

constexpr std::string_view blanks = " \t";
constexpr std::size_t shown_bytes_max = 60;

bool is_blank(char c) { return blanks.find(c) != std::string_view::npos; }

/// The index of the quote that closes the one at `open`, or npos.
std::size_t closing_quote(std::string_view text, std::size_t open) {
    for (std::size_t i = open + 1; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            return i;
    }
    return std::string_view::npos;
}

std::optional<char> escaped(char letter) {
    switch (letter) {
        case 'n': return '\n';
        case 't': return '\t';
        case 'r': return '\r';
        case '"':
        case '\\': return letter;
        default: return std::nullopt;
    }
}

Parsed<std::string> unescaped(std::string_view inside) {
    std::string text;
    for (std::size_t i = 0; i < inside.size(); ++i) {
        if (inside[i] != '\\') {
            text += inside[i];
            continue;
        }
        const auto meant = escaped(inside[++i]);  // closing_quote saw to it that a character follows
        if (!meant)
            return tl::unexpected(fmt::format("unknown escape {}; known are \\n \\t \\r \\\" \\\\",
                                              shown(inside.substr(i - 1, 2))));
        text += *meant;
    }
    return text;
}

Parsed<std::string> bounded(Parsed<std::string> text) {
    if (text && text->size() > text_bytes_max)
        return tl::unexpected(fmt::format("is longer than {} bytes", text_bytes_max));
    return text;
}

Parsed<Split> split_quoted(std::string_view text) {
    const auto close = closing_quote(text, 0);
    if (close == std::string_view::npos) return tl::unexpected<std::string>("a quote is not closed");
    const auto rest = text.substr(close + 1);
    if (!rest.empty() && !is_blank(rest.front()))
        return tl::unexpected(fmt::format("text right behind a closing quote: {}", shown(rest)));
    auto inside = bounded(unescaped(text.substr(1, close - 1)));
    if (!inside) return tl::unexpected(inside.error());
    return Split{{std::move(*inside), true}, trimmed(rest)};
}

}  // namespace

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Parsed<Split> split_word(std::string_view text) {
    text = trimmed(text);
    if (text.empty()) return tl::unexpected<std::string>("has no value");
    if (text.front() == '"') return split_quoted(text);
    const auto word = text.substr(0, text.find_first_of(blanks));
    if (word.find('"') != std::string_view::npos)
        return tl::unexpected(fmt::format("a quote inside of {}; put the whole word in quotes", shown(word)));
    auto bare = bounded(std::string(word));
    if (!bare) return tl::unexpected(bare.error());
    return Split{{std::move(*bare), false}, trimmed(text.substr(word.size()))};
}

Parsed<std::vector<Word>> split_words(std::string_view text) {
    std::vector<Word> words;
    for (text = trimmed(text); !text.empty();) {
        auto split = split_word(text);
        if (!split) return tl::unexpected(split.error());
        words.push_back(std::move(split->first));
        text = split->rest;
    }
    return words;
}

Parsed<std::string> only_word(std::string_view text, std::string_view what) {
    auto split = split_word(text);
    if (!split) return tl::unexpected(split.error());
    if (!split->rest.empty())
        return tl::unexpected(fmt::format("one {} expected, and then comes {}", what, shown(split->rest)));
    return std::move(split->first.text);
}

Parsed<std::string> free_text(std::string_view text) {
    text = trimmed(text);
    if (!text.empty() && text.front() == '"' && closing_quote(text, 0) == text.size() - 1) {
        auto split = split_quoted(text);
        if (!split) return tl::unexpected(split.error());
        return std::move(split->first.text);
    }
    return bounded(std::string(text));
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
            case '\n': out += "\\n"; break;
            case '\t': out += "\\t"; break;
            case '\r': out += "\\r"; break;
            case '"':
            case '\\': out += '\\'; [[fallthrough]];
            default: out += c;
        }
    }
    return out + '"';
}

std::string as_word(std::string_view text) {
    const bool plain = !text.empty() && text.find_first_of(" \"") == std::string_view::npos &&
                       !has_control_character(text) && text.front() != ';';
    return plain ? std::string(text) : quoted(text);
}

std::string as_text(std::string_view text) {
    const bool plain = !text.empty() && trimmed(text) == text && text.find('"') == std::string_view::npos &&
                       !has_control_character(text) && text.front() != ';' &&
                       text.find(" ;") == std::string_view::npos;
    return plain ? std::string(text) : quoted(text);
}

std::string shown(std::string_view text) {
    std::string out = "\"";
    for (const char c : text.substr(0, shown_bytes_max)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out + (text.size() > shown_bytes_max ? "...\"" : "\"");
}

Parsed<std::string_view> without_comment(std::string_view value) {
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == ';' && i > 0 && is_blank(value[i - 1])) return value.substr(0, i);
        if (value[i] != '"') continue;
        i = closing_quote(value, i);
        if (i == std::string_view::npos) return tl::unexpected<std::string>("a quote is not closed");
    }
    return value;
}

}  // namespace conf
