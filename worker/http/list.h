// worker/http/list.h: headers that are comma-separated lists (RFC 9110 5.6.1), and their weights (12.4.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace worker::http {

/// Walks the members of a list: without the white space around them, empty ones left out. Commas inside a
/// quoted string separate nothing; a string that never ends reaches to the end of the value.
class List {
 public:
    explicit List(std::string_view value) : rest_(value) {}

    /// The next member, a view into the value; nullopt after the last.
    [[nodiscard]] std::optional<std::string_view> next();

 private:
    std::string_view rest_;
};

/// `text` without spaces and tabs at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);

/// Whether the list has the token, in any case: `Connection: keep-alive, Upgrade`.
[[nodiscard]] bool has_token(std::string_view list, std::string_view token);

/// "0" to "1" with at most three decimals, in thousandths; nullopt for anything else.
[[nodiscard]] std::optional<std::uint16_t> parse_weight(std::string_view text);

/// `text/html;level=1;q=0.5`: the parts of a member of an Accept list.
struct Weighted {
    std::string_view name;             ///< "text/html"
    std::string_view parameters = {};  ///< "level=1"; empty when there is none but the weight
    std::uint16_t weight = 1000;       ///< thousandths; 0: not acceptable
};

/// nullopt when the weight is malformed: whoever sent it did not say what they want, so skip the member.
[[nodiscard]] std::optional<Weighted> parse_weighted(std::string_view member);

}  // namespace worker::http
