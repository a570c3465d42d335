// tests/fuzz/fastcgi_fuzz.cpp: records of FastCGI; the properties are in fastcgi_property.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/fastcgi_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_fastcgi({reinterpret_cast<const char*>(data), size});
    return 0;
}
