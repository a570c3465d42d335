#include <cstddef>
#include <cstdint>

#include "tests/fuzz/response_property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_response({reinterpret_cast<const char*>(data), size});
    return 0;
}
