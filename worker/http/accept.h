// worker/http/accept.h: which media type to answer with (RFC 9110 12.5.1).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace worker::http {

/// The index of the offered type ("text/html", without parameters) of the highest weight, the first among
/// equals; `offered.size()` when none is acceptable. An absent or empty header accepts all.
/// For each type its most specific range counts. Parameters of a range do not keep it from matching, but
/// `text/html` says more about text/html than `text/html;level=1` does.
[[nodiscard]] std::size_t best_of(std::string_view accept, std::span<const std::string_view> offered);

}  // namespace worker::http
