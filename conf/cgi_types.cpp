#include "conf/cgi_types.h"

#include <algorithm>

#include <fmt/format.h>

#include "conf/text_variables.h"
#include "conf/types.h"

namespace conf {
namespace {

bool is_param_name(std::string_view name) {
    const auto fits = [](char c) {
        return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && std::all_of(name.begin(), name.end(), fits);
}

bool is_file_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
           !has_control_character(name);
}

}  // namespace

Parsed<std::vector<Header>> CgiParam::parse(const Value& value) const {
    const auto split = split_word(value.text);
    if (!split) return tl::unexpected(split.error());
    Header param{split->first.text, {}};
    if (!is_param_name(param.name))
        return tl::unexpected(fmt::format("{} is not a name of letters, digits and _", shown(param.name)));
    if (!split->rest.empty()) {
        auto text = free_text(split->rest);
        if (!text) return tl::unexpected(text.error());
        param.value = std::move(*text);
    }
    if (const auto parts = split_text(param.value); !parts) return tl::unexpected(parts.error());
    return std::vector{std::move(param)};
}

std::string CgiParam::print(const Header& param) const {
    return param.value.empty() ? param.name : fmt::format("{} {}", param.name, as_text(param.value));
}

Parsed<std::vector<std::string>> ScriptExtensions::parse(const Value& value) const {
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::vector<std::string> all;
    for (const Word& word : *words) {
        if (word.text.size() < 2 || word.text[0] != '.' || !is_file_name(word.text))
            return tl::unexpected(fmt::format("{} is not the end of a name, as .php is", shown(word.text)));
        all.push_back(word.text);
    }
    return all;
}

std::string ScriptExtensions::print(const std::string& extension) const { return as_word(extension); }

Parsed<std::string> ScriptName::parse(const Value& value) const {
    if (value.text == "off") return std::string();
    auto word = only_word(value.text, "name");
    if (word && !is_file_name(*word))
        return tl::unexpected(fmt::format("{} is not the name of a file in a folder", shown(*word)));
    return word;
}

std::string ScriptName::print(const std::string& name) const { return name.empty() ? "off" : as_word(name); }

}  // namespace conf
