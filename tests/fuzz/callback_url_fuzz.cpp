// tests/fuzz/callback_url_fuzz.cpp: URLs of callbacks; the properties are in callback_url_property.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/callback_url_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_callback_url({reinterpret_cast<const char*>(data), size});
    return 0;
}
