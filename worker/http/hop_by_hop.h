// worker/http/hop_by_hop.h: what of a message belongs to one connection alone (RFC 9110 7.6.1).
#pragma once

#include <string>
#include <string_view>

#include "worker/http/head.h"

namespace worker::http {

/// By name; framing too.
[[nodiscard]] bool is_hop_by_hop(Known known) noexcept;

/// The fields that `Connection` names as its own, a view of the head or of `room`; empty where it says just
/// `keep-alive`, as most do: that one is known.
[[nodiscard]] std::string_view named_by_connection(const Head& head, std::string& room);

}  // namespace worker::http
