#include "worker/handler/conditional.h"

#include <cstddef>

#include "worker/http/date.h"
#include "worker/http/list.h"

namespace worker::handler {
namespace {

/// An entity tag as RFC 9110 8.8.3 has it.
struct EntityTag {
    bool weak = false;
    std::string_view opaque;  ///< with its quotes
};

/// Takes an entity tag from the front of `text`; nullopt when none stands there.
std::optional<EntityTag> take_tag(std::string_view& text) {
    EntityTag tag;
    std::size_t at = 0;
    if (text.starts_with("W/")) {
        tag.weak = true;
        at = 2;
    }
    if (at >= text.size() || text[at] != '"') return std::nullopt;
    std::size_t end = at + 1;
    while (end < text.size() && text[end] != '"') {
        const auto byte = static_cast<unsigned char>(text[end]);
        if (byte <= 0x20 || byte == 0x7f) return std::nullopt;  // etagc has no escapes and no white space
        ++end;
    }
    if (end == text.size()) return std::nullopt;
    tag.opaque = text.substr(at, end + 1 - at);
    text.remove_prefix(end + 1);
    return tag;
}

enum class Comparison : std::uint8_t { strong, weak };

bool matches(const EntityTag& tag, const Validators& validators, Comparison comparison) {
    if (comparison == Comparison::strong && (tag.weak || validators.weak)) return false;
    return !validators.etag.empty() && tag.opaque == validators.etag;
}

void skip_space(std::string_view& text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

/// Whether "*" or a tag of the list matches. The list is read to its end: malformed matches nothing.
bool any_matches(std::string_view list, const Validators& validators, Comparison comparison) {
    if (http::trim(list) == "*") return true;
    bool matched = false;
    for (skip_space(list); !list.empty(); skip_space(list)) {
        if (list.front() != ',') {
            const auto tag = take_tag(list);
            if (!tag) return false;
            matched = matched || matches(*tag, validators, comparison);
            skip_space(list);
            if (list.empty()) break;
        }
        if (list.front() != ',') return false;
        list.remove_prefix(1);
    }
    return matched;
}

/// Steps 1 and 2: what the client knew must still hold.
bool still_holds(const Conditions& conditions, const Validators& validators) {
    if (conditions.if_match) return any_matches(*conditions.if_match, validators, Comparison::strong);
    if (!conditions.if_unmodified_since) return true;
    const auto date = http::parse_date(*conditions.if_unmodified_since, validators.now);
    return !date || validators.modified <= *date;
}

}  // namespace

Verdict evaluate(const Conditions& conditions, const Validators& validators, bool get_or_head) {
    if (!still_holds(conditions, validators)) return Verdict::precondition_failed;
    if (conditions.if_none_match) {  // step 3; with it step 4 is off
        if (!any_matches(*conditions.if_none_match, validators, Comparison::weak)) return Verdict::proceed;
        return get_or_head ? Verdict::not_modified : Verdict::precondition_failed;
    }
    if (conditions.if_modified_since && get_or_head) {  // step 4
        const auto date = http::parse_date(*conditions.if_modified_since, validators.now);
        if (date && validators.modified <= *date) return Verdict::not_modified;
    }
    return Verdict::proceed;
}

bool if_range_holds(std::string_view if_range, const Validators& validators) {
    if_range = http::trim(if_range);
    if (if_range.starts_with('"') || if_range.starts_with("W/")) {
        const auto tag = take_tag(if_range);
        return tag && if_range.empty() && matches(*tag, validators, Comparison::strong);
    }
    const auto date = http::parse_date(if_range, validators.now);
    return date && *date == validators.modified && validators.modified < validators.now;
}

}  // namespace worker::handler
