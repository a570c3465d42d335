// worker/http/status.h: status codes and their reason phrases.
#pragma once

#include <cstdint>
#include <string_view>

namespace worker::http {

using Status = std::uint16_t;

/// The phrase registered for the code (RFC 9110 15 and the IANA registry); empty when there is none,
/// which is a legal reason phrase.
[[nodiscard]] std::string_view reason(Status status);

}  // namespace worker::http
