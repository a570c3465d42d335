// conf/types.h: the types of settings that any section may use: switches, numbers, sizes, times, paths,
// texts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/setting.h"

namespace conf {

/// `on` or `off`.
struct Switch {
    [[nodiscard]] Parsed<bool> parse(const Value& value) const;
    [[nodiscard]] std::string print(bool on) const { return on ? "on" : "off"; }
};

/// "x is not one of a, b; did you mean `a`?"
[[nodiscard]] std::string not_one_of(std::string_view text, std::span<const std::string_view> names);

/// One of a few names; the first that means a value is the one it is printed as.
template <class Enum>
struct Choice {
    std::vector<std::pair<std::string_view, Enum>> names;

    [[nodiscard]] Parsed<Enum> parse(const Value& value) const {
        const auto word = only_word(value.text, "word");
        if (!word) return tl::unexpected(word.error());
        std::vector<std::string_view> valid;
        for (const auto& [name, meaning] : names) {
            if (*word == name) return meaning;
            valid.push_back(name);
        }
        return tl::unexpected(not_one_of(*word, valid));
    }
    [[nodiscard]] std::string print(Enum wanted) const {
        for (const auto& [name, meaning] : names)
            if (meaning == wanted) return std::string(name);
        return {};
    }
};

/// `min` to `max`, or the word that stands for 0, when there is one.
template <class Integer>
struct Number {
    std::uint64_t min, max;
    std::string_view zero{};

    [[nodiscard]] Parsed<Integer> parse(const Value& value) const {
        if (!zero.empty() && value.text == zero) return Integer{0};
        const auto number = parse_or_word(value.text);
        if (!number) return tl::unexpected(number.error());
        return static_cast<Integer>(*number);
    }
    [[nodiscard]] std::string print(Integer number) const {
        return number == 0 && !zero.empty() ? std::string(zero) : std::to_string(number);
    }

 private:
    [[nodiscard]] Parsed<std::uint64_t> parse_or_word(std::string_view text) const;
};

struct Size {
    std::uint64_t min, max;  ///< bytes
    [[nodiscard]] Parsed<std::uint64_t> parse(const Value& value) const;
    [[nodiscard]] std::string print(std::uint64_t bytes) const;
};

struct Time {
    Milliseconds min, max;
    [[nodiscard]] Parsed<Milliseconds> parse(const Value& value) const;
    [[nodiscard]] std::string print(Milliseconds time) const;
};

/// A setting that may be left out: unset is not a value of its own.
template <class Type>
struct Optional {
    Type type;
    [[nodiscard]] auto parse(const Value& value) const { return type.parse(value); }
    template <class T>
    [[nodiscard]] std::string print(const std::optional<T>& value) const {
        return value ? type.print(*value) : std::string();
    }
};

/// `text` as an absolute path without `.`, `..` and a slash at its end. Touches no file.
[[nodiscard]] Parsed<std::string> absolute_path(std::string_view text, std::string_view folder);

/// One path; `off` is none where that is allowed.
struct Path {
    bool may_be_off = false;
    std::size_t bytes_max = 4095;
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& path) const;
};

/// The longest path that fits a Unix socket's address, in bytes.
constexpr std::size_t socket_path_bytes_max = 107;

/// A system user's name.
struct UserName {
    [[nodiscard]] Parsed<std::string> parse(const Value& value) const;
    [[nodiscard]] std::string print(const std::string& name) const { return name; }
};

/// `stderr info`, `/var/log/reeve/error.log warn`, or only where to.
struct ErrorLogType {
    [[nodiscard]] Parsed<ErrorLog> parse(const Value& value) const;
    [[nodiscard]] std::string print(const ErrorLog& log) const;
};

}  // namespace conf
