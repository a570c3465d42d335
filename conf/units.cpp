#include "conf/units.h"

#include <charconv>
#include <limits>
#include <optional>
#include <span>

#include <fmt/format.h>

namespace conf {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// largest first, so that printing finds the shortest way to say it
constexpr Unit sizes[] = {{"g", 1ull << 30}, {"m", 1ull << 20}, {"k", 1ull << 10}, {"", 1}};
constexpr Unit times[] = {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000},
                          {"s", 1000},       {"ms", 1},        {"", 1000}};

/// Digits, then one of the units; nothing when it is anything else or does not fit.
std::optional<std::uint64_t> scaled(std::string_view text, std::span<const Unit> units) {
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc()) return std::nullopt;
    const auto suffix = lower_case({end, static_cast<std::size_t>(text.data() + text.size() - end)});
    for (const auto& unit : units) {
        if (suffix != unit.name) continue;
        if (number > std::numeric_limits<std::uint64_t>::max() / unit.factor) return std::nullopt;
        return number * unit.factor;
    }
    return std::nullopt;
}

std::string in_largest_unit(std::uint64_t value, std::span<const Unit> units) {
    for (const auto& unit : units)
        if (value != 0 && value % unit.factor == 0)
            return fmt::format("{}{}", value / unit.factor, unit.name);
    return "0";
}

}  // namespace

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max) {
    constexpr Unit one[] = {{"", 1}};
    const auto number = scaled(text, one);
    if (!number || *number < min || *number > max)
        return tl::unexpected(fmt::format("{} is not a number, {} to {}", shown(text), min, max));
    return *number;
}

Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t min, std::uint64_t max) {
    const auto bytes = scaled(text, sizes);
    if (!bytes || *bytes < min || *bytes > max)
        return tl::unexpected(fmt::format("{} is not a size, {} to {} (bytes, or with k, m, g)", shown(text),
                                          print_size(min), print_size(max)));
    return *bytes;
}

Parsed<Milliseconds> parse_time(std::string_view text, Milliseconds min, Milliseconds max) {
    const auto time = scaled(text, times);
    if (!time || *time < static_cast<std::uint64_t>(min.count()) ||
        *time > static_cast<std::uint64_t>(max.count()))
        return tl::unexpected(
            fmt::format("{} is not a time, {} to {} (with ms, s, m, h, d; a bare number is seconds)",
                        shown(text), print_time(min), print_time(max)));
    return Milliseconds(static_cast<Milliseconds::rep>(*time));
}

std::string print_size(std::uint64_t bytes) { return in_largest_unit(bytes, sizes); }

std::string print_time(Milliseconds time) {
    return in_largest_unit(static_cast<std::uint64_t>(time.count()), times);
}

}  // namespace conf
