#include <cstddef>
#include <cstdint>

#include "tests/fuzz/http1_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_http1({reinterpret_cast<const char*>(data), size});
    return 0;
}
