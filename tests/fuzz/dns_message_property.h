// tests/fuzz/dns_message_property.h: any bytes are an answer of bounded size, or none.
#pragma once

#include <cstdlib>
#include <string_view>

#include "tests/fuzz/property.h"
#include "worker/upstream/dns_message.h"

namespace fuzz {

inline void check_dns_message(std::string_view bytes) {
    using worker::upstream::DnsType;
    const std::span message(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    for (const auto type : {DnsType::a, DnsType::aaaa, DnsType::srv}) {
        const auto answer = worker::upstream::read_dns_answer(message, type);
        if (!answer) continue;
        if (answer->records.size() > worker::upstream::dns_records_max || answer->ttl > 0x7fffffff)
            std::abort();
        if (answer->records.empty() && answer->ttl != 0) std::abort();
        for (const auto& record : answer->records)
            if (record.target.size() > 255 || (type != DnsType::srv && !record.target.empty())) std::abort();
    }
}

}  // namespace fuzz
