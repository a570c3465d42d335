// worker/http/accept_encoding.h: which content coding to answer with (RFC 9110 12.5.3).
#pragma once

#include <cstdint>
#include <string_view>

namespace worker::http {

enum class Coding : std::uint8_t { identity, gzip, br, zstd };

/// The codings that a representation exists in. Identity is always among them.
class CodingSet {
 public:
    constexpr CodingSet() = default;
    constexpr void add(Coding coding) { bits_ = static_cast<std::uint8_t>(bits_ | bit(coding)); }
    [[nodiscard]] constexpr bool has(Coding coding) const { return (bits_ & bit(coding)) != 0; }
    [[nodiscard]] constexpr bool only_identity() const { return bits_ == bit(Coding::identity); }
    bool operator==(const CodingSet&) const = default;

 private:
    static constexpr std::uint8_t bit(Coding coding) {
        return static_cast<std::uint8_t>(1u << static_cast<unsigned>(coding));
    }
    std::uint8_t bits_ = bit(Coding::identity);
};

/// The available coding of the highest weight; among equals br, zstd, gzip, identity. Identity that is not
/// mentioned is acceptable, but comes after all that are. When nothing available is acceptable: identity, as
/// the RFC advises over a 406. An absent or empty header means identity.
[[nodiscard]] Coding choose(std::string_view accept_encoding, CodingSet available);

/// As it stands in Content-Encoding: "gzip"; empty for identity.
[[nodiscard]] std::string_view coding_name(Coding coding);

}  // namespace worker::http
