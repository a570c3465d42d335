// tests/fuzz/range_fuzz.cpp: Range, conditional headers, dates; the properties are in range_property.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/range_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_range_and_conditions({reinterpret_cast<const char*>(data), size});
    return 0;
}
