#include "worker/http/accept_encoding.h"

#include <array>
#include <cstddef>
#include <optional>

#include "worker/http/host.h"
#include "worker/http/list.h"

namespace worker::http {
namespace {

constexpr std::array<std::string_view, 4> names{"identity", "gzip", "br", "zstd"};
constexpr std::array best_first{Coding::br, Coding::zstd, Coding::gzip, Coding::identity};

std::size_t index_of(Coding coding) { return static_cast<std::size_t>(coding); }

/// What the header says of each coding; nullopt: nothing.
struct Wishes {
    std::array<std::optional<std::uint16_t>, names.size()> weights;
    std::optional<std::uint16_t> others;  ///< "*"

    void note(const Weighted& member) {
        if (member.name == "*") others = member.weight;
        for (std::size_t i = 0; i < names.size(); ++i)
            if (equals_ignore_case(member.name, names[i])) weights[i] = member.weight;
        if (equals_ignore_case(member.name, "x-gzip"))
            weights[index_of(Coding::gzip)] = member.weight;  // RFC 9110 8.4.1.3
    }
    /// 0: not acceptable.
    [[nodiscard]] std::uint16_t weight(Coding coding) const {
        if (const auto named = weights[index_of(coding)]) return *named;
        return others.value_or(0);
    }
};

}  // namespace

Coding choose(std::string_view accept_encoding, CodingSet available) {
    if (accept_encoding.empty() || available.only_identity()) return Coding::identity;
    Wishes wishes;
    List members(accept_encoding);
    while (const auto member = members.next())
        if (const auto weighted = parse_weighted(*member)) wishes.note(*weighted);

    Coding best = Coding::identity;
    std::uint16_t best_weight = 0;
    for (const Coding coding : best_first) {
        if (!available.has(coding) || wishes.weight(coding) <= best_weight) continue;
        best = coding;
        best_weight = wishes.weight(coding);
    }
    return best;
}

std::string_view coding_name(Coding coding) {
    return coding == Coding::identity ? std::string_view() : names[index_of(coding)];
}

}  // namespace worker::http
