// worker/handler/merge.h: makes the one answer of a fan-out from what came of its parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "conf/config.h"

namespace worker::handler {

/// What came of a part.
enum class PartState : std::uint8_t {
    pending,    ///< not decided yet; `merge` takes it for cancelled
    ok,         ///< its body is whole; whether it fits the merge is for `merge` to see
    timeout,    ///< its own, or the deadline of all
    connect,    ///< no connection
    reset,      ///< the connection ended too early
    status,     ///< answered, with a status that is no success
    too_large,  ///< more than its limit
    malformed,  ///< bad HTTP; `merge` adds: not the JSON that it needs
    refused,    ///< not sent: the breaker is open, or a limit is reached
    cancelled,  ///< given up because it could change nothing any more: nobody's fault
};

/// In the order of the configuration. The views must outlive the call.
struct Part {
    std::string_view name;  ///< in the configuration, which sees to it that no two are equal
    PartState state = PartState::pending;
    bool required = false;               ///< without it there is no answer
    std::uint32_t arrival = 0;           ///< of an ok part: its place among them in time, for `Merge::first`
    std::uint16_t status = 0;            ///< of its response; 0: none
    std::string_view content_type = {};  ///< of its response; empty: none
    std::string_view body = {};
};

/// For `object` and `array` a body must be JSON (RFC 8259): one value in UTF-8, numbers within a double,
/// nested no deeper than `json_depth_max`; a byte order mark before it is dropped, white space around it too,
/// and an empty body (204) counts as null. What is anything else makes its part `malformed`.
//   object   {"name":BODY,...}: parts that are missing are left out
//   array    [BODY,...]: parts that are missing are null, so that places stay
//   concat   the bodies one behind the other; those that are missing leave nothing
//   first    the ok part that arrived first, as it is; `quorum` and `required` say nothing here
using conf::Merge;
constexpr std::size_t json_depth_max = 512;

struct MergeRules {
    Merge merge = Merge::object;
    std::uint32_t quorum = 1;            ///< so many parts must be ok; above their number: never an answer
    std::uint16_t partial_status = 200;  ///< of an answer in which parts are missing
};

/// The answer; owns its bytes.
struct Merged {
    /// 200 when all are ok, else `partial_status`; for `first` the part's own. Without an answer, because a
    /// required part or the quorum is missing: 504 when one of those to blame took too long, 503 when all
    /// of them were refused, else 502. To blame are required parts; all that are missing, if the quorum is.
    std::uint16_t status = 200;
    /// application/json; for `first` the part's own; for `concat` the one that all with a body agree on, else
    /// application/octet-stream. Empty: send none. Never has a control character.
    std::string content_type = {};
    std::string body = {};  ///< empty when there is no answer: that page is the caller's
    /// Value of `Reeve-Fanout`, printable ASCII; what is no token of HTTP in a name is %HH. One of
    /// "complete; ok=3/3", "complete; ok=1/3; from=stock" (`first`),
    /// "partial; ok=1/2; missing=prices:timeout", "failed; ok=0/2; missing=prices:timeout,stock:refused".
    std::string fanout_field = {};
    bool cacheable = false;  ///< all parts are ok; false: send `Cache-Control: no-store`
};

/// The same parts make the same bytes; only `first` looks at the order in which they arrived.
[[nodiscard]] Merged merge(const MergeRules& rules, std::span<const Part> parts);

/// Whether the parts still pending can change nothing any more: none is, or a required one is missing, or the
/// quorum is out of reach; for `first` also when one is ok. Goes by the states alone, looks into no body.
[[nodiscard]] bool decided(const MergeRules& rules, std::span<const Part> parts);

}  // namespace worker::handler
