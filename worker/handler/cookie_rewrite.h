// worker/handler/cookie_rewrite.h: makes the Domain and Path of a peer's cookies ours.
#pragma once

#include <string>
#include <string_view>

#include "conf/config.h"

namespace worker::handler {

/// Appends the value of a Set-Cookie field (RFC 6265 4.1), with the first of `cookie_domain` that is its
/// Domain, and the first of `cookie_path` that its Path begins with, replaced. What does not match stays,
/// byte by byte.
void append_cookie(std::string& out, std::string_view cookie, const conf::Proxy& terms);

}  // namespace worker::handler
