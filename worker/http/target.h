// worker/http/target.h: the request target (RFC 9112 3.2), normalised once before anyone decides by it.
//
// The path is percent-decoded exactly once, then cleaned: "//" becomes "/", "." and ".." segments go. As this
// happens after decoding, "%2F" is a "/" like any other (nginx's reading) and no spelling of ".." survives.
// Refused, because some reader behind us may see something else in them: a path that climbs above its root,
// broken escapes, control characters (plain or escaped, NUL above all), fragments, and a plain backslash in
// the path. "%5C" is an ordinary byte of a name, and so are all bytes from 0x80 on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace worker::http {

/// Views into the raw target or into the scratch string it was parsed with.
struct Target {
    std::string_view path = {};   ///< normalised; begins with "/", also for "*"
    std::string_view query = {};  ///< as sent, without "?"; escapes are not looked at
    bool has_query = false;
    std::string_view authority = {};  ///< of the absolute form, a valid host; else empty
    bool asterisk = false;  ///< "*", or OPTIONS for an absolute form without path: the server as a whole
};

/// nullopt: answer 400. That includes CONNECT, whose authority form only a proxy could serve.
/// `scratch` holds the path when it had to be rewritten; its capacity is reused, never shrunk.
[[nodiscard]] std::optional<Target> parse_target(std::string_view method, std::string_view raw,
                                                 std::string& scratch);

}  // namespace worker::http
