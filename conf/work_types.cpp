#include "conf/work_types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "conf/nearest.h"

namespace conf {
namespace {

using std::chrono::microseconds;

// largest first, so that printing finds the shortest way to say it
constexpr std::array<std::pair<std::string_view, std::uint64_t>, 3> work_units{
    {{"s", 1'000'000}, {"ms", 1000}, {"us", 1}}};
constexpr std::array<std::pair<std::string_view, microseconds WorkAmount::*>, 2> work_parts{
    {{"cpu=", &WorkAmount::cpu}, {"wait=", &WorkAmount::wait}}};
constexpr std::string_view no_work = "none";

std::string print_work_time(microseconds time) {
    const auto us = static_cast<std::uint64_t>(time.count());
    for (const auto& [name, factor] : work_units)
        if (us != 0 && us % factor == 0) return fmt::format("{}{}", us / factor, name);
    return "0";
}

}  // namespace

Parsed<microseconds> parse_work_time(std::string_view text) {
    const auto refused = [&] {
        return tl::unexpected(fmt::format("{} is not a time, 0 to {} (with us, ms, s)", shown(text),
                                          print_work_time(work_time_max)));
    };
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || number > static_cast<std::uint64_t>(work_time_max.count()))
        return refused();
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (unit.empty() && number == 0) return microseconds(0);
    for (const auto& [name, factor] : work_units)
        if (unit == name && number * factor <= static_cast<std::uint64_t>(work_time_max.count()))
            return microseconds(number * factor);
    return refused();
}

Parsed<WorkAmount> WorkType::parse(const Value& value) const {
    static constexpr std::string_view known[] = {"cpu=TIME", "wait=TIME"};
    WorkAmount amount;
    if (value.text == no_work) return amount;
    const auto words = split_words(value.text);
    if (!words) return tl::unexpected(words.error());
    std::array<bool, work_parts.size()> seen{};
    for (const auto& word : *words) {
        const std::string_view text = word.text;
        const auto part = std::find_if(work_parts.begin(), work_parts.end(),
                                       [&](const auto& one) { return text.starts_with(one.first); });
        if (part == work_parts.end())
            return tl::unexpected(fmt::format("unknown option {}{}", shown(text), hint(text, known)));
        if (std::exchange(seen[static_cast<std::size_t>(part - work_parts.begin())], true))
            return tl::unexpected(fmt::format("a second {}", shown(text)));
        const auto time = parse_work_time(text.substr(part->first.size()));
        if (!time)
            return tl::unexpected(std::string(part->first.substr(0, part->first.size() - 1)) + ": " +
                                  time.error());
        amount.*part->second = *time;
    }
    return amount;
}

std::string WorkType::print(const WorkAmount& amount) const {
    std::string text;
    for (const auto& [name, part] : work_parts) {
        if ((amount.*part).count() == 0) continue;
        if (!text.empty()) text += " ";
        text.append(name).append(print_work_time(amount.*part));
    }
    return text.empty() ? std::string(no_work) : text;
}

WorkAmount work_by_query(std::string_view query, const WorkAmount& usual) {
    WorkAmount amount = usual;
    while (!query.empty()) {
        const auto word = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), word.size() + 1));
        for (const auto& [name, part] : work_parts) {
            if (!word.starts_with(name)) continue;
            if (const auto time = parse_work_time(word.substr(name.size()))) amount.*part = *time;
        }
    }
    return amount;
}

}  // namespace conf
