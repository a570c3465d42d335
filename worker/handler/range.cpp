#include "worker/handler/range.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "worker/http/host.h"
#include "worker/http/list.h"

namespace worker::handler {
namespace {

constexpr std::string_view unit = "bytes=";

/// Takes digits from the front of `text`; nullopt when there is none. What no 64 bits hold is their largest
/// value: it lies behind the end of any file all the same.
std::optional<std::uint64_t> take_number(std::string_view& text) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    std::size_t digits = 0;
    std::uint64_t value = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
        const auto digit = static_cast<std::uint64_t>(text[digits] - '0');
        value = value > (most - digit) / 10 ? most : value * 10 + digit;
    }
    text.remove_prefix(digits);
    return digits > 0 ? std::optional(value) : std::nullopt;
}

/// A member as written; `first` is missing in a suffix, `last` in an open range.
struct Spec {
    std::optional<std::uint64_t> first, last;
};

/// "first-last", "first-" or "-suffix".
std::optional<Spec> parse_spec(std::string_view text) {
    Spec spec;
    spec.first = take_number(text);
    if (!text.starts_with('-')) return std::nullopt;
    text.remove_prefix(1);
    spec.last = take_number(text);
    if (!text.empty() || (!spec.first && !spec.last)) return std::nullopt;
    if (spec.first && spec.last && *spec.last < *spec.first) return std::nullopt;
    return spec;
}

/// What the member selects of `size` > 0 bytes; nullopt: nothing.
std::optional<ByteRange> select(const Spec& spec, std::uint64_t size) {
    if (!spec.first) {
        if (*spec.last == 0) return std::nullopt;
        return ByteRange{size - std::min(*spec.last, size), size - 1};
    }
    if (*spec.first >= size) return std::nullopt;
    return ByteRange{*spec.first, spec.last ? std::min(*spec.last, size - 1) : size - 1};
}

bool touch(const ByteRange& a, const ByteRange& b) {
    return (a.first <= b.last || a.first - b.last == 1) && (b.first <= a.last || b.first - a.last == 1);
}

/// Adds a range, joined with those it touches, which touch each other nowhere.
void add(ByteRange range, std::vector<ByteRange>& ranges) {
    const ByteRange asked = range;
    const auto touched = [&](const ByteRange& other) { return touch(asked, other); };
    const auto place = std::find_if(ranges.begin(), ranges.end(), touched);
    if (place == ranges.end()) return ranges.push_back(range);
    for (auto other = place; other != ranges.end(); ++other) {
        if (!touched(*other)) continue;
        range.first = std::min(range.first, other->first);
        range.last = std::max(range.last, other->last);
    }
    ranges.erase(std::remove_if(place + 1, ranges.end(), touched), ranges.end());
    *place = range;
}

RangeVerdict read_members(std::string_view list, std::uint64_t size, std::vector<ByteRange>& out) {
    std::size_t members = 0;
    std::uint64_t sum = 0;
    http::List specs(list);
    while (const auto member = specs.next()) {
        const auto spec = parse_spec(*member);
        if (!spec || ++members > ranges_max) return RangeVerdict::whole;
        if (size == 0) {
            if (!spec->first && *spec->last > 0)
                return RangeVerdict::whole;  // satisfiable, but no 206 can say so
            continue;
        }
        const auto range = select(*spec, size);
        if (!range) continue;
        if (range->size() > size - sum) return RangeVerdict::whole;
        sum += range->size();
        add(*range, out);
    }
    if (members == 0) return RangeVerdict::whole;
    return out.empty() ? RangeVerdict::unsatisfiable : RangeVerdict::partial;
}

}  // namespace

RangeVerdict parse_range(std::string_view header, std::uint64_t size, std::vector<ByteRange>& out) {
    out.clear();
    if (!http::equals_ignore_case(header.substr(0, unit.size()), unit)) return RangeVerdict::whole;
    const RangeVerdict verdict = read_members(header.substr(unit.size()), size, out);
    if (verdict != RangeVerdict::partial) out.clear();
    return verdict;
}

}  // namespace worker::handler
