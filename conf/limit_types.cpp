#include "conf/limit_types.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "conf/http_types.h"
#include "conf/nearest.h"
#include "conf/types.h"
#include "conf/units.h"

namespace conf {
namespace {

constexpr std::uint64_t number_max = 1'000'000;
constexpr std::string_view burst_option = "burst=", key_option = "key=", header_variable = "$http_";

constexpr std::array<std::pair<char, std::chrono::seconds>, 3> units{{
    {'s', std::chrono::seconds(1)},
    {'m', std::chrono::minutes(1)},
    {'h', std::chrono::hours(1)},
}};

constexpr std::array<std::pair<std::string_view, LimitKey::Kind>, 4> variables{{
    {"$remote_addr", LimitKey::Kind::remote_addr},
    {"$server_name", LimitKey::Kind::server_name},
    {"$host", LimitKey::Kind::host},
    {"$uri", LimitKey::Kind::uri},
}};

std::string with(std::string text, char from, char to) {
    std::replace(text.begin(), text.end(), from, to);
    return text;
}

/// The header that `$http_NAME` is; its `-` are written `_`.
Parsed<LimitKey> parse_header(std::string_view text) {
    const auto name = text.substr(header_variable.size());
    if (name.find('-') != std::string_view::npos)
        return tl::unexpected(fmt::format("key: {}: the `-` of a header is written `_`", shown(text)));
    if (!is_token(name))
        return tl::unexpected(fmt::format("key: {} does not name a header: $http_NAME", shown(text)));
    return LimitKey{LimitKey::Kind::header, with(lower_case(name), '_', '-')};
}

Parsed<LimitKey> parse_key(std::string_view text) {
    std::vector<std::string_view> valid;
    for (const auto& [name, kind] : variables) {
        if (text == name) return LimitKey{kind, {}};
        valid.push_back(name);
    }
    if (text.starts_with(header_variable)) return parse_header(text);
    valid.push_back("$http_NAME");
    return tl::unexpected("key: " + not_one_of(text, valid));
}

std::string print_key(const LimitKey& key) {
    if (key.kind == LimitKey::Kind::header)
        return fmt::format("{}{}{}", key_option, header_variable, with(key.header, '-', '_'));
    for (const auto& [name, kind] : variables)
        if (kind == key.kind) return fmt::format("{}{}", key_option, name);
    std::abort();
}

/// `10/s`: how many in which unit; nothing when it is anything else.
std::optional<std::pair<std::uint32_t, std::chrono::seconds>> parse_rate(std::string_view text) {
    if (text.size() < 2 || text[text.size() - 2] != '/') return std::nullopt;
    const auto requests = parse_number(text.substr(0, text.size() - 2), 1, number_max);
    if (!requests) return std::nullopt;
    for (const auto& [letter, per] : units)
        if (lower_case(text.substr(text.size() - 1)).front() == letter)
            return std::pair(static_cast<std::uint32_t>(*requests), per);
    return std::nullopt;
}

struct Options {
    std::optional<std::uint32_t> burst;
    std::optional<LimitKey> key;
};

/// What follows the first word; `known` are the options that there are, as they are shown.
Parsed<Options> read_options(std::string_view text, std::span<const std::string_view> known) {
    const auto words = split_words(text);
    if (!words) return tl::unexpected(words.error());
    const bool has_burst = known.size() > 1;
    Options options;
    for (const auto& word : *words) {
        const std::string_view option = word.text;
        const auto twice = [&] { return tl::unexpected(fmt::format("a second {}", shown(option))); };
        if (has_burst && option.starts_with(burst_option)) {
            if (options.burst) return twice();
            const auto burst = parse_number(option.substr(burst_option.size()), 0, number_max);
            if (!burst) return tl::unexpected("burst: " + burst.error());
            options.burst = static_cast<std::uint32_t>(*burst);
        } else if (option.starts_with(key_option)) {
            if (options.key) return twice();
            auto key = parse_key(option.substr(key_option.size()));
            if (!key) return tl::unexpected(std::move(key.error()));
            options.key = std::move(*key);
        } else {
            return tl::unexpected(fmt::format("unknown option {}{}", shown(option), hint(option, known)));
        }
    }
    return options;
}

}  // namespace

Parsed<RateLimit> RateType::parse(const Value& value) const {
    static constexpr std::string_view known[] = {"key=$VARIABLE", "burst=N"};
    const auto split = split_word(value.text);
    if (!split) return tl::unexpected(split.error());
    const auto rate = parse_rate(split->first.text);
    if (!rate)
        return tl::unexpected(fmt::format("{} is not a rate, 1/s to {}/s (or with /m, /h)",
                                          shown(split->first.text), number_max));
    auto options = read_options(split->rest, known);
    if (!options) return tl::unexpected(std::move(options.error()));
    return RateLimit{rate->first, rate->second, options->burst.value_or(rate->first - 1),
                     std::move(options->key).value_or(LimitKey{})};
}

std::string RateType::print(const RateLimit& limit) const {
    for (const auto& [letter, per] : units)
        if (per == limit.per)
            return fmt::format("{}/{} burst={} {}", limit.requests, letter, limit.burst,
                               print_key(limit.key));
    std::abort();
}

Parsed<ConnLimit> ConnLimitType::parse(const Value& value) const {
    static constexpr std::string_view known[] = {"key=$VARIABLE"};
    const auto split = split_word(value.text);
    if (!split) return tl::unexpected(split.error());
    const auto max = parse_number(split->first.text, 1, number_max);
    if (!max) return tl::unexpected(max.error());
    auto options = read_options(split->rest, known);
    if (!options) return tl::unexpected(std::move(options.error()));
    return ConnLimit{static_cast<std::uint32_t>(*max), std::move(options->key).value_or(LimitKey{})};
}

std::string ConnLimitType::print(const ConnLimit& limit) const {
    return fmt::format("{} {}", limit.max, print_key(limit.key));
}

}  // namespace conf
