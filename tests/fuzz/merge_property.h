// tests/fuzz/merge_property.h: what holds for the answer of a fan-out, whatever came of its parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/property.h"
#include "worker/handler/merge.h"

namespace fuzz {

using worker::handler::Merge;
using worker::handler::Merged;
using worker::handler::MergeRules;
using worker::handler::Part;
using worker::handler::PartState;

/// Up to `end`, which is taken off too.
inline std::string_view cut(std::string_view& rest, char end) {
    const std::string_view piece = rest.substr(0, rest.find(end));
    rest.remove_prefix(std::min(piece.size() + 1, rest.size()));
    return piece;
}

/// Mode, quorum, then parts that each end with US: state, required with place of arrival, NAME RS TYPE RS
/// BODY.
inline std::vector<Part> read_parts(std::string_view bytes, MergeRules& rules) {
    const auto choice = [](std::string_view& from, unsigned choices) {
        const auto byte = from.empty() ? 0u : static_cast<unsigned char>(from.front());
        from.remove_prefix(std::min<std::size_t>(from.size(), 1));
        return byte % choices;
    };
    rules.merge = static_cast<Merge>(choice(bytes, 4));
    rules.quorum = choice(bytes, 8);
    std::vector<Part> parts;
    while (!bytes.empty() && parts.size() < 16) {
        std::string_view rest = cut(bytes, '\x1f');
        Part& part = parts.emplace_back();
        part.state = static_cast<PartState>(choice(rest, 10));
        part.arrival = choice(rest, 16);
        part.required = part.arrival % 2 == 1;
        part.name = cut(rest, '\x1e');
        part.content_type = cut(rest, '\x1e');
        part.body = rest;
    }
    return parts;
}

/// nlohmann ends at NUL and skips a byte order mark, which others do not.
inline void require_json(const Merged& merged, Merge merge, std::size_t parts) {
    require(merged.body.find('\0') == std::string::npos);
    require(merged.body.starts_with(merge == Merge::array ? '[' : '{'));
    const auto json = nlohmann::json::parse(merged.body, nullptr, false);
    if (merge == Merge::array) require(json.is_array() && json.size() == parts);
    if (merge == Merge::object) require(json.is_object() && json.size() <= parts);
}

inline void require_sound(const MergeRules& rules, const std::vector<Part>& parts, const Merged& merged) {
    const auto printable = [](char c) { return c >= 0x20 && c < 0x7f; };
    require(std::ranges::all_of(merged.fanout_field, printable));
    require(merged.content_type.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);

    const auto is_ok = [](const Part& part) { return part.state == PartState::ok; };
    const std::string_view field = merged.fanout_field;
    if (merged.cacheable) require(std::ranges::all_of(parts, is_ok) && field.starts_with("complete; "));
    if (field.starts_with("failed; ")) {
        require(merged.status >= 502 && merged.status <= 504 && merged.body.empty());
    } else {
        require(merged.status / 100 == 2);
        if (rules.merge == Merge::object || rules.merge == Merge::array)
            require_json(merged, rules.merge, parts.size());
    }
}

/// Sound, the same once more and in whatever order they arrived; and parts still pending can make an answer
/// exactly when nothing is decided (but for bodies that turn out not to be JSON).
inline void check_merge(std::string_view bytes) {
    MergeRules rules{.partial_status = 203};
    std::vector<Part> parts = read_parts(bytes, rules);
    const auto merge = [&] {
        const Merged merged = worker::handler::merge(rules, parts);
        require_sound(rules, parts, merged);
        return merged;
    };
    const Merged once = merge();
    const auto same = [&](const Merged& other) {
        return other.status == once.status && other.content_type == once.content_type &&
               other.body == once.body && other.fanout_field == once.fanout_field &&
               other.cacheable == once.cacheable;
    };
    require(same(merge()));
    if (rules.merge != Merge::first) {
        for (Part& part : parts) part.arrival = 15 - part.arrival;
        require(same(merge()));
    }

    const bool decided = worker::handler::decided(rules, parts);
    for (Part& part : parts) {
        if (part.state != PartState::pending) continue;
        part.state = PartState::ok;
        part.arrival = 100;  // after all others
        part.body = "1";
    }
    require(worker::handler::decided(rules, parts));
    const Merged late = merge();
    if (!decided)
        return require(late.status < 500 || rules.merge == Merge::object || rules.merge == Merge::array);
    require((late.status > 500) == (once.status > 500));
    if (rules.merge == Merge::first) require(late.body == once.body);
}

}  // namespace fuzz
