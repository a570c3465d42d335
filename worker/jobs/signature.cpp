#include "worker/jobs/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstdlib>

#include <fmt/format.h>

namespace worker::jobs {

std::string hmac_sha256(std::string_view secret, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    // Only where the library cannot be used at all is there no answer; nothing goes out unsigned.
    if (::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
               reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
               &size) == nullptr)
        std::abort();
    std::string hex;
    hex.reserve(2 * std::size_t{size});
    for (unsigned int at = 0; at < size; ++at) hex += fmt::format("{:02x}", digest.at(at));
    return hex;
}

std::string signature_of(std::string_view secret, std::int64_t unix_seconds, std::string_view body) {
    return fmt::format("t={},v1={}", unix_seconds,
                       hmac_sha256(secret, fmt::format("{}.{}", unix_seconds, body)));
}

}  // namespace worker::jobs
