// tests/fuzz/target_fuzz.cpp: request targets; the property is in target_property.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/target_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_target({reinterpret_cast<const char*>(data), size});
    return 0;
}
