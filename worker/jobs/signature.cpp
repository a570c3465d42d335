#include "worker/jobs/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <iterator>

#include <fmt/format.h>

namespace worker::jobs {

std::optional<std::string> hmac_sha256(std::string_view secret, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
               reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
               &size) == nullptr)
        return std::nullopt;
    std::string hex;
    hex.reserve(2 * std::size_t{size});
    for (unsigned int at = 0; at < size; ++at)
        fmt::format_to(std::back_inserter(hex), "{:02x}", digest.at(at));
    return hex;
}

std::optional<std::string> signature_of(std::string_view secret, std::int64_t unix_seconds,
                                        std::string_view body) {
    const auto made = hmac_sha256(secret, fmt::format("{}.{}", unix_seconds, body));
    if (!made) return std::nullopt;
    return fmt::format("t={},v1={}", unix_seconds, *made);
}

}  // namespace worker::jobs
