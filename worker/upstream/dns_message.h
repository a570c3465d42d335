// worker/upstream/dns_message.h: what a name server's answer says (RFC 1035, 2782, 3596).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace worker::upstream {

enum class DnsType : std::uint16_t { a = 1, aaaa = 28, srv = 33 };

/// One record of the type that was asked for.
struct DnsRecord {
    std::array<std::uint8_t, 16> address{};            ///< of A the first four
    std::uint16_t priority = 0, weight = 0, port = 0;  ///< of SRV
    std::string target;                                ///< likewise: lower case, no dot at its end
};

struct DnsAnswer {
    std::vector<DnsRecord> records;  ///< at most `records_max`
    std::uint32_t ttl = 0;           ///< seconds: the shortest of all that led to them; without records 0
};

constexpr std::size_t dns_records_max = 256;

/// The records of that type for the name that the message asks for, also by way of CNAMEs. Pure, and takes
/// any bytes; none: it is malformed, cut off, no answer, or one to another question.
[[nodiscard]] std::optional<DnsAnswer> read_dns_answer(std::span<const std::uint8_t> message, DnsType type);

}  // namespace worker::upstream
