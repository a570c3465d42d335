#include "conf/types.h"

#include <filesystem>

#include <fmt/format.h>

#include "conf/ini_file.h"
#include "conf/nearest.h"
#include "conf/units.h"

namespace conf {
namespace {

const Choice<LogLevel> levels{{{"trace", LogLevel::trace},
                               {"debug", LogLevel::debug},
                               {"info", LogLevel::info},
                               {"warn", LogLevel::warn},
                               {"error", LogLevel::error},
                               {"critical", LogLevel::critical},
                               {"off", LogLevel::off}}};

}  // namespace

std::string not_one_of(std::string_view text, std::span<const std::string_view> names) {
    const auto meant = nearest(text, names);
    return fmt::format("{} is not one of {}{}", shown(text), fmt::join(names, ", "),
                       meant.empty() ? std::string() : fmt::format("; did you mean `{}`?", meant));
}

Parsed<bool> Switch::parse(const Value& value) const {
    if (value.text == "on") return true;
    if (value.text == "off") return false;
    return tl::unexpected(fmt::format("{} is neither `on` nor `off`", shown(value.text)));
}

template <class Integer>
Parsed<std::uint64_t> Number<Integer>::parse_or_word(std::string_view text) const {
    auto number = parse_number(text, min, max);
    if (!number && !zero.empty()) return tl::unexpected(fmt::format("{}, or `{}`", number.error(), zero));
    return number;
}
template struct Number<std::uint16_t>;
template struct Number<std::uint32_t>;
template struct Number<std::uint64_t>;

Parsed<std::uint64_t> Size::parse(const Value& value) const { return parse_size(value.text, min, max); }
std::string Size::print(std::uint64_t bytes) const { return print_size(bytes); }

Parsed<Milliseconds> Time::parse(const Value& value) const { return parse_time(value.text, min, max); }
std::string Time::print(Milliseconds time) const { return print_time(time); }

Parsed<std::string> absolute_path(std::string_view text, std::string_view folder) {
    constexpr std::size_t bytes_max = 4095;
    if (text.empty()) return tl::unexpected<std::string>("an empty path");
    if (has_control_character(text))
        return tl::unexpected(fmt::format("a control character in the path {}", shown(text)));
    namespace fs = std::filesystem;
    auto path = (fs::path(folder) / fs::path(text)).lexically_normal().string();
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (path.size() > bytes_max) return tl::unexpected(fmt::format("a path longer than {} bytes", bytes_max));
    return path;
}

Parsed<std::string> Path::parse(const Value& value) const {
    if (may_be_off && value.text == "off") return std::string();
    const auto word = only_word(value.text, "path");
    if (!word) return word;
    auto path = absolute_path(*word, value.folder);
    if (path && path->size() > bytes_max)
        return tl::unexpected(
            fmt::format("{} is longer than the {} bytes it may have", shown(*path), bytes_max));
    return path;
}

std::string Path::print(const std::string& path) const {
    if (path.empty()) return may_be_off ? "off" : std::string();
    return as_word(path);
}

Parsed<std::string> UserName::parse(const Value& value) const {
    if (!is_name(value.text))
        return tl::unexpected(fmt::format("{} is not the name of a user", shown(value.text)));
    return std::string(value.text);
}

Parsed<ErrorLog> ErrorLogType::parse(const Value& value) const {
    const auto where = split_word(value.text);
    if (!where) return tl::unexpected(where.error());
    ErrorLog log;
    if (where->first.text != "stderr") {
        auto path = absolute_path(where->first.text, value.folder);
        if (!path) return tl::unexpected(path.error());
        log.path = std::move(*path);
    }
    if (where->rest.empty()) return log;
    const auto level = levels.parse({where->rest, value.folder});
    if (!level) return tl::unexpected(level.error());
    log.level = *level;
    return log;
}

std::string ErrorLogType::print(const ErrorLog& log) const {
    return fmt::format("{} {}", as_word(log.path), levels.print(log.level));
}

}  // namespace conf
