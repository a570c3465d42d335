// tests/fuzz/merge_fuzz.cpp: the answer of a fan-out; the properties are in merge_property.h.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/merge_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_merge({reinterpret_cast<const char*>(data), size});
    return 0;
}
