#include "worker/http/accept.h"

#include <cstdint>

#include "worker/http/host.h"
#include "worker/http/list.h"

namespace worker::http {
namespace {

/// How closely a range fits the type; 0: not at all.
unsigned closeness(const Weighted& range, std::string_view type) {
    if (range.name == "*/*") return 1;
    if (range.name.ends_with("/*")) {
        const std::size_t kind = range.name.size() - 1;  // with the slash
        return equals_ignore_case(range.name.substr(0, kind), type.substr(0, kind)) ? 2 : 0;
    }
    if (!equals_ignore_case(range.name, type)) return 0;
    return range.parameters.empty() ? 4 : 3;
}

/// By the range that fits best, the heaviest of these; 0: not acceptable.
std::uint16_t weight_of(std::string_view accept, std::string_view type) {
    std::uint16_t weight = 0;
    unsigned closest = 0;
    List members(accept);
    while (const auto member = members.next()) {
        const auto range = parse_weighted(*member);
        if (!range) continue;
        const unsigned close = closeness(*range, type);
        if (close == 0 || close < closest || (close == closest && range->weight <= weight)) continue;
        closest = close;
        weight = range->weight;
    }
    return weight;
}

}  // namespace

std::size_t best_of(std::string_view accept, std::span<const std::string_view> offered) {
    if (trim(accept).empty()) return 0;
    std::size_t best = offered.size();
    std::uint16_t best_weight = 0;
    for (std::size_t i = 0; i < offered.size(); ++i) {
        const std::uint16_t weight = weight_of(accept, offered[i]);
        if (weight <= best_weight) continue;
        best = i;
        best_weight = weight;
    }
    return best;
}

}  // namespace worker::http
