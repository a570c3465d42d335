// worker/http/plain_head.h: the heads that nearly all clients send, in one pass.
#pragma once

#include <cstddef>
#include <string_view>

#include "worker/http/request.h"

namespace worker::http {

/// Reads the line that begins at `at` into `field`, and moves `at` behind it: a token, a colon right behind
/// it, a value between optional white space, CR LF (RFC 9112 5). False: it is not that, or not whole.
[[nodiscard]] bool read_field(std::string_view bytes, std::size_t& at, Field& field) noexcept;

/// A head about which nobody can disagree: GET or HEAD of an absolute path by HTTP/1.1 (RFC 9112 3.2.1), one
/// Host, no body, nothing of hop-by-hop meaning but `Connection: close` or `keep-alive`, all of it on
/// whole lines.
struct PlainHead {
    std::size_t size = 0;  ///< bytes; 0: the head is not plain, or not whole, and the parser must say
    bool keep_alive = true;
};

/// Reads the head that `bytes` begins with into `request`, which is clear; without success it is clear again.
/// What the value of Host says is not looked at. Never refuses: what it takes, the parser would take for the
/// same.
[[nodiscard]] PlainHead read_plain_head(std::string_view bytes, Request& request) noexcept;

}  // namespace worker::http
