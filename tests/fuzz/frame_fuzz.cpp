// tests/fuzz/frame_fuzz.cpp: whatever decodes as a frame encodes to the same bytes.
#include <cstdint>
#include <cstdlib>

#include <algorithm>

#include "ipc/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto frame = std::as_bytes(std::span(data, size));
    if (const auto message = ipc::decode(frame))
        if (const auto again = ipc::encode(*message); !std::ranges::equal(again, frame)) std::abort();
    return 0;
}
