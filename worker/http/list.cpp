#include "worker/http/list.h"

#include <algorithm>
#include <cstddef>

#include "worker/http/host.h"

namespace worker::http {
namespace {

/// Where the first `separator` stands that is not within a quoted string; the size when there is none.
std::size_t find_unquoted(std::string_view text, char separator) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (quoted && text[i] == '\\')
            ++i;
        else if (!quoted && text[i] == separator)
            return i;
    }
    return text.size();
}

bool is_space(char c) { return c == ' ' || c == '\t'; }

}  // namespace

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

std::optional<std::string_view> List::next() {
    while (!rest_.empty()) {
        const std::size_t end = find_unquoted(rest_, ',');
        const std::string_view member = trim(rest_.substr(0, end));
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        if (!member.empty()) return member;
    }
    return std::nullopt;
}

bool has_token(std::string_view list, std::string_view token) {
    List members(list);
    while (const auto member = members.next())
        if (equals_ignore_case(*member, token)) return true;
    return false;
}

std::optional<std::uint16_t> parse_weight(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
    if (text.size() > 1 && text[1] != '.') return std::nullopt;
    unsigned thousandths = text[0] == '1' ? 1'000 : 0;
    unsigned unit = 100;
    for (std::size_t i = 2; i < text.size(); ++i, unit /= 10) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        thousandths += static_cast<unsigned>(text[i] - '0') * unit;
    }
    if (thousandths > 1'000) return std::nullopt;
    return static_cast<std::uint16_t>(thousandths);
}

std::optional<Weighted> parse_weighted(std::string_view member) {
    const std::size_t end = find_unquoted(member, ';');
    Weighted result{.name = trim(member.substr(0, end))};
    const std::string_view all = member.substr(std::min(end + 1, member.size()));
    for (std::size_t at = 0; at < all.size();) {
        const std::string_view parameter = all.substr(at, find_unquoted(all.substr(at), ';'));
        const std::string_view text = trim(parameter);
        if (text.size() >= 2 && lower(text[0]) == 'q' && text[1] == '=') {
            const auto weight = parse_weight(text.substr(2));
            if (!weight) return std::nullopt;
            result.weight = *weight;
            return result;  // what follows the weight is an extension of Accept, which nobody has defined
        }
        at += parameter.size() + 1;
        result.parameters = trim(all.substr(0, at - 1));
    }
    return result;
}

}  // namespace worker::http
