// worker/jobs/signature.h: by which who is told of the end of a job knows that we say so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace worker::jobs {

/// HMAC-SHA256 (RFC 2104), in hexadecimal digits of lower case; none where libcrypto has none.
[[nodiscard]] std::optional<std::string> hmac_sha256(std::string_view secret, std::string_view text);

/// The value of Reeve-Signature: `t=UNIX,v1=HEX`, where HEX is the HMAC-SHA256 of `UNIX.BODY`. The time is in
/// it so that a request which somebody has recorded is of no use for long. None as above.
[[nodiscard]] std::optional<std::string> signature_of(std::string_view secret, std::int64_t unix_seconds,
                                                      std::string_view body);

}  // namespace worker::jobs
