// tests/fuzz/cgi_head_fuzz.cpp: heads of CGI programs; the properties are in cgi_head_property.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/cgi_head_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_cgi_head({reinterpret_cast<const char*>(data), size});
    return 0;
}
