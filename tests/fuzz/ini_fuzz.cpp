// tests/fuzz/ini_fuzz.cpp: a configuration of any bytes never crashes, and its dump loads to the same.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/ini_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_ini({reinterpret_cast<const char*>(data), size});
    return 0;
}
