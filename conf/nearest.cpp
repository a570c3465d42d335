#include "conf/nearest.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace conf {

std::size_t distance(std::string_view a, std::string_view b) {
    // rows of the usual table: two letters ago, one letter ago, now
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            now[j] = std::min({change, last[j] + 1, now[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

std::string_view nearest(std::string_view wrong, std::span<const std::string_view> names) {
    constexpr std::size_t looked_at_max = 64;  // the work grows with the length, which the author chooses
    if (wrong.size() > looked_at_max) return {};

    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(2, wrong.size() / 3) + 1;
    for (const auto name : names) {
        const std::size_t cost = distance(wrong, name);
        if (cost >= best_distance || cost >= name.size()) continue;
        best = name;
        best_distance = cost;
    }
    return best;
}

std::string hint(std::string_view wrong, std::span<const std::string_view> names) {
    constexpr std::size_t listed_max = 12;
    if (const auto meant = nearest(wrong, names); !meant.empty())
        return fmt::format("; did you mean `{}`?", meant);
    if (names.empty()) return {};
    if (names.size() > listed_max) return "; `reeve -T` lists all there are";
    return fmt::format("; valid: {}", fmt::join(names, ", "));
}

}  // namespace conf
