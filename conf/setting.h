// conf/setting.h: what one row of the table of settings is, and how rows are built.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "conf/words.h"

namespace conf {

/// What a line says, and the absolute folder that relative paths in it count from.
struct Value {
    std::string_view text;
    std::string_view folder;
};

/// One row: where the setting is in the file, what it may be, where it goes, how it reads.
template <class Section>
struct Setting {
    std::string_view key;
    std::string_view comment;                                    ///< one line, for the dump
    bool list = false;                                           ///< may be repeated and continued
    std::function<Parsed<void>(Section&, const Value&)> read{};  ///< sets the member, or adds to the list
    std::function<void(Section&)> clear{};                       ///< lists only: takes the default away
    /// The values that read back the same; none: unset.
    std::function<std::vector<std::string>(const Section&)> write{};
    std::vector<Route::Handler> used_by{};  ///< routes only: the handlers that know it; none: all do
    bool is_handler = false;                ///< routes only: the key that chooses the only one of `used_by`
};

inline bool is_used_by(const Setting<Route>& row, Route::Handler handler) {
    return row.used_by.empty() ||
           std::find(row.used_by.begin(), row.used_by.end(), handler) != row.used_by.end();
}

template <class Section>
using Settings = std::vector<Setting<Section>>;

/// `access` is a pointer to a member, or a function from the section to a reference. `type` has
/// `Parsed<T> parse(const Value&)` and `std::string print(const T&)`; an empty text means unset.
template <class Section, class Access, class Type>
Setting<Section> scalar(std::string_view key, Access access, Type type, std::string_view comment) {
    Setting<Section> row{key, comment};
    row.read = [access, type](Section& section, const Value& value) -> Parsed<void> {
        auto parsed = type.parse(value);
        if (!parsed) return tl::unexpected(std::move(parsed.error()));
        std::invoke(access, section) = std::move(*parsed);
        return {};
    };
    row.write = [access, type](const Section& section) -> std::vector<std::string> {
        auto text = type.print(std::invoke(access, section));
        if (text.empty()) return {};
        return {std::move(text)};
    };
    return row;
}

/// `type` has `Parsed<std::vector<T>> parse(const Value&)`, what one line adds, and `std::string print(const
/// T&)`. `nothing`, when given, is the word for the empty list.
template <class Section, class Access, class Type>
Setting<Section> list(std::string_view key, Access access, Type type, std::string_view comment,
                      std::string_view nothing = {}) {
    Setting<Section> row{key, comment, true};
    row.read = [access, type, nothing](Section& section, const Value& value) -> Parsed<void> {
        if (!nothing.empty() && value.text == nothing) return {};
        auto parsed = type.parse(value);
        if (!parsed) return tl::unexpected(std::move(parsed.error()));
        auto& all = std::invoke(access, section);
        for (auto& one : *parsed) all.push_back(std::move(one));
        return {};
    };
    row.clear = [access](Section& section) { std::invoke(access, section).clear(); };
    row.write = [access, type, nothing](const Section& section) {
        std::vector<std::string> texts;
        for (const auto& one : std::invoke(access, section)) texts.push_back(type.print(one));
        if (texts.empty() && !nothing.empty()) texts.emplace_back(nothing);
        return texts;
    };
    return row;
}

/// The member of a member, as `access` above.
template <class Section, class Part, class Member>
auto in(Part Section::*part, Member Part::*member) {
    return [ part, member ](auto& section) -> auto& { return (section.*part).*member; };
}

}  // namespace conf
