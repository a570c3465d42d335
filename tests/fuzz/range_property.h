// tests/fuzz/range_property.h: what holds for Range and the conditional headers, whatever the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/property.h"
#include "worker/handler/conditional.h"
#include "worker/handler/range.h"
#include "worker/http/date.h"
#include "worker/http/list.h"

namespace fuzz {

/// Ranges lie inside, apart from each other, and are the same when they are asked for again.
inline void check_range(std::string_view header, std::uint64_t size) {
    using namespace worker::handler;
    std::vector<ByteRange> ranges;
    if (parse_range(header, size, ranges) != RangeVerdict::partial) return require(ranges.empty());

    require(!ranges.empty() && ranges.size() <= ranges_max);
    std::string same = "bytes=";
    std::uint64_t left = size;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        require(ranges[i].first <= ranges[i].last && ranges[i].last < size);
        require(ranges[i].size() <= left);
        left -= ranges[i].size();
        for (std::size_t j = 0; j < i; ++j)
            require(ranges[i].first > ranges[j].last + 1 || ranges[j].first > ranges[i].last + 1);
        same += std::to_string(ranges[i].first) + "-" + std::to_string(ranges[i].last) + ",";
    }
    std::vector<ByteRange> again;
    require(parse_range(same, size, again) == RangeVerdict::partial && again == ranges);
}

/// What matches strongly matches weakly, and a list that failed to match lets the request through.
inline void check_conditional(std::string_view value) {
    using namespace worker::handler;
    value = worker::http::trim(value);  // as the values of headers come
    const Validators validators{
        .etag = "\"a\"", .weak = false, .modified = 784'111'777, .now = 1'767'225'600};
    Conditions match, none_match, since;
    match.if_match = none_match.if_none_match = since.if_modified_since = value;
    const Verdict weakly = evaluate(none_match, validators, true);
    require(weakly != Verdict::precondition_failed);
    require(evaluate(match, validators, true) != Verdict::not_modified);
    require((evaluate(none_match, validators, false) == Verdict::proceed) == (weakly == Verdict::proceed));
    if (evaluate(match, validators, true) == Verdict::proceed) require(weakly == Verdict::not_modified);
    if (if_range_holds(value, validators))
        require(weakly == Verdict::not_modified ||
                evaluate(since, validators, true) == Verdict::not_modified);
}

/// A date that parses is formatted as one that means the same.
inline void check_date(std::string_view text) {
    const auto at = worker::http::parse_date(text, 1'767'225'600);
    if (!at || *at > 253'402'300'799) return;  // the leap second that ends the year 9999
    char out[29];
    worker::http::format_date(*at, out);
    require(worker::http::parse_date({out, sizeof out}, 0) == at);
}

/// The first byte chooses the size of the representation.
inline void check_range_and_conditions(std::string_view bytes) {
    if (bytes.empty()) return;
    const auto choice = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    check_range(bytes, choice < 0xf0 ? choice : UINT64_MAX - (0xff - choice));
    check_range("bytes=" + std::string(bytes), choice);
    check_conditional(bytes);
    check_date(bytes);
}

}  // namespace fuzz
