// conf/schedule_types.cpp: when schedules are due, as it is written.
#include "conf/schedule_types.h"

#include <cctz/time_zone.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "conf/types.h"
#include "conf/units.h"

namespace conf {
namespace {

constexpr std::size_t fields = 5, cron_bytes_max = 255, zone_bytes_max = 64, printable_bytes_max = 255;
constexpr Milliseconds every_least{1'000}, every_most{std::chrono::hours(24 * 366)};
constexpr std::array<unsigned, 13> longest_month{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

constexpr std::array<std::string_view, 12> month_names{"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> weekday_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> short_forms{
    {{"@hourly", "0 * * * *"},
     {"@daily", "0 0 * * *"},
     {"@midnight", "0 0 * * *"},
     {"@weekly", "0 0 * * 0"},
     {"@monthly", "0 0 1 * *"},
     {"@yearly", "0 0 1 1 *"},
     {"@annually", "0 0 1 1 *"}}};

/// One of the five: its values, and the names of the first of them.
struct CronField {
    std::string_view what;
    unsigned min, max;
    std::span<const std::string_view> names{};
};

const std::array<CronField, fields>& cron_fields() {
    static const std::array<CronField, fields> all{{{"a minute", 0, 59, {}},
                                                    {"an hour", 0, 23, {}},
                                                    {"a day of the month", 1, 31, {}},
                                                    {"a month", 1, 12, month_names},
                                                    {"a day of the week", 0, 7, weekday_names}}};
    return all;
}

std::optional<unsigned> digits(std::string_view text) {
    unsigned number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return number;
}

Parsed<unsigned> cron_value(const CronField& field, std::string_view text) {
    const auto name = std::find(field.names.begin(), field.names.end(), lower_case(text));
    if (name != field.names.end()) return field.min + static_cast<unsigned>(name - field.names.begin());
    const auto number = digits(text);
    if (number && *number >= field.min && *number <= field.max) return *number;
    return tl::unexpected(fmt::format(
        "{} is not {}, {} to {}{}", shown(text), field.what, field.min, field.max,
        field.names.empty() ? std::string()
                            : fmt::format(", {} to {}", field.names.front(), field.names.back())));
}

/// `*`, `*/5`, `3`, `1-5`, `1-30/2`: adds its values.
Parsed<void> add_part(const CronField& field, std::string_view part, std::uint64_t& values) {
    const auto slash = part.find('/');
    const auto range = part.substr(0, slash);
    const auto hyphen = range.find('-');
    unsigned first = field.min, last = field.max, step = 1;
    if (range != "*") {
        const auto low = cron_value(field, range.substr(0, hyphen));
        if (!low) return tl::unexpected(low.error());
        first = last = *low;
        if (hyphen != range.npos) {
            const auto high = cron_value(field, range.substr(hyphen + 1));
            if (!high) return tl::unexpected(high.error());
            last = *high;
            if (last == 0 && first > 0 && field.max == 7) last = 7;  // fri-sun
        } else if (slash != part.npos) {
            return tl::unexpected(fmt::format("{}: a step follows `*` or a range, as in {}-{}/{}",
                                              shown(part), range, field.max, part.substr(slash + 1)));
        }
        if (first > last)
            return tl::unexpected(fmt::format("{}: the smaller one stands first", shown(range)));
    }
    if (slash != part.npos) {
        const auto number = digits(part.substr(slash + 1));
        if (!number || *number == 0 || *number > field.max)
            return tl::unexpected(
                fmt::format("{} is not a step, 1 to {}", shown(part.substr(slash + 1)), field.max));
        step = *number;
    }
    for (unsigned value = first; value <= last; value += step) values |= std::uint64_t{1} << value;
    return {};
}

Parsed<std::uint64_t> cron_values(const CronField& field, std::string_view text) {
    std::uint64_t values = 0;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto comma = std::min(text.find(',', begin), text.size());
        if (auto added = add_part(field, text.substr(begin, comma - begin), values); !added)
            return tl::unexpected(std::move(added.error()));
        begin = comma + 1;
    }
    return values;
}

/// Some day of some year is one. Every date comes on every day of the week, some year.
bool ever_comes(const Cron& cron) {
    if (cron.either_day) return true;
    const auto first_day = static_cast<unsigned>(std::countr_zero(cron.days));
    for (unsigned month = 1; month <= 12; ++month)
        if (cron.is_month(month) && first_day <= longest_month.at(month)) return true;
    return false;
}

std::vector<std::string_view> blank_separated(std::string_view text) {
    std::vector<std::string_view> words;
    words.reserve(fields + 1);
    while (!(text = trimmed(text)).empty() && words.size() <= fields) {
        const auto end = std::min(text.find_first_of(" \t"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

}  // namespace

Parsed<Cron> parse_cron(std::string_view text) {
    text = trimmed(text);
    if (text.size() > cron_bytes_max)
        return tl::unexpected(fmt::format("has {} characters, and may have {}", text.size(), cron_bytes_max));
    if (text.starts_with('@')) {
        const auto known = std::find_if(short_forms.begin(), short_forms.end(),
                                        [&](const auto& form) { return form.first == lower_case(text); });
        if (known == short_forms.end())
            return tl::unexpected(
                fmt::format("{} is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually",
                            shown(text)));
        auto cron = parse_cron(known->second);
        if (cron) cron->text = known->first;
        return cron;
    }
    const auto words = blank_separated(text);
    if (words.size() != fields)
        return tl::unexpected(fmt::format(
            "{} has not five fields: minute, hour, day of the month, month, day of the week", shown(text)));
    std::array<std::uint64_t, fields> values{};
    for (std::size_t i = 0; i < fields; ++i) {
        auto parsed = cron_values(cron_fields().at(i), words[i]);
        if (!parsed) return tl::unexpected(std::move(parsed.error()));
        values.at(i) = *parsed;
    }
    Cron cron;
    cron.text = fmt::format("{}", fmt::join(words, " "));
    cron.minutes = values[0];
    cron.hours = static_cast<std::uint32_t>(values[1]);
    cron.days = static_cast<std::uint32_t>(values[2]);
    cron.months = static_cast<std::uint32_t>(values[3]);
    cron.weekdays = static_cast<std::uint32_t>((values[4] | values[4] >> 7) & 0x7f);  // 7 is Sunday, too
    cron.either_day = !words[2].starts_with('*') && !words[4].starts_with('*');
    if (!ever_comes(cron))
        return tl::unexpected(fmt::format("{}: no month of these has such a day", shown(cron.text)));
    return cron;
}

Parsed<std::string> ZoneType::parse(const Value& value) const {
    auto word = only_word(value.text, "time zone");
    if (!word) return word;
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '/' || c == '+' || c == '-';
    };
    const bool sound = word->size() <= zone_bytes_max && !word->empty() && word->front() >= 'A' &&
                       std::all_of(word->begin(), word->end(), is_plain);
    cctz::time_zone zone;
    if (!sound || !cctz::load_time_zone(*word, &zone))
        return tl::unexpected(fmt::format(
            "{} is no time zone that this machine knows (tzdata): Europe/Berlin, UTC", shown(*word)));
    return word;
}

Parsed<Milliseconds> EveryType::parse(const Value& value) const {
    auto time = parse_time(value.text, every_least, every_most);
    if (!time) return tl::unexpected(std::move(time.error()));
    return *time;
}

std::string EveryType::print(Milliseconds time) const {
    return time.count() == 0 ? std::string() : print_time(time);
}

Parsed<std::string> PrintableText::parse(const Value& value) const {
    auto text = free_text(value.text);
    if (!text) return text;
    if (text->empty() || text->size() > printable_bytes_max ||
        !std::all_of(text->begin(), text->end(), [](char c) { return c >= ' ' && c <= '~'; }))
        return tl::unexpected(
            fmt::format("{} is not 1 to {} printable characters", shown(*text), printable_bytes_max));
    return text;
}

}  // namespace conf
