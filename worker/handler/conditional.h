// worker/handler/conditional.h: conditional requests (RFC 9110 13).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace worker::handler {

/// The headers of one request; nullopt: absent.
struct Conditions {
    std::optional<std::string_view> if_match;
    std::optional<std::string_view> if_none_match;
    std::optional<std::string_view> if_modified_since;
    std::optional<std::string_view> if_unmodified_since;
    std::optional<std::string_view> if_range;  ///< for `if_range_holds`; `evaluate` leaves it alone

    /// Whether `evaluate` has anything to do.
    [[nodiscard]] bool any() const {
        return if_match || if_none_match || if_modified_since || if_unmodified_since;
    }
};

/// What the representation is now.
struct Validators {
    std::string_view etag;      ///< with its quotes, without W/; empty: it has none
    bool weak = false;          ///< whether it is sent as W/"..."
    std::int64_t modified = 0;  ///< Unix seconds
    std::int64_t now = 0;       ///< Unix seconds: the Date of the answer
};

enum class Verdict : std::uint8_t { proceed, not_modified, precondition_failed };

/// In the order of section 13.2.2, for a representation that exists. A list of entity tags that is malformed
/// anywhere matches nothing; a date that is none is ignored.
[[nodiscard]] Verdict evaluate(const Conditions& conditions, const Validators& validators, bool get_or_head);

/// Whether Range applies (13.1.5): the same strong entity tag, or exactly our date when that is a strong
/// validator, which it is once a second has passed since.
[[nodiscard]] bool if_range_holds(std::string_view if_range, const Validators& validators);

}  // namespace worker::handler
