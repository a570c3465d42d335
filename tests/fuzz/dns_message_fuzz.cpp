// tests/fuzz/dns_message_fuzz.cpp: answers of name servers; the properties are in dns_message_property.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/dns_message_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_dns_message({reinterpret_cast<const char*>(data), size});
    return 0;
}
