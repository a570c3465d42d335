// ipc/buffer_use.h: what one worker keeps of bodies for those who are slower; in shared memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "ipc/counter.h"

namespace ipc {

/// Why a body found no room.
enum class BufferRefusal : std::uint8_t {
    size,   ///< it is larger than its route allows
    total,  ///< the bodies of this worker fill all that there is for them
    disk,   ///< no file could be made or written
};
constexpr std::size_t buffer_refusals = 3;
[[nodiscard]] constexpr std::string_view name(BufferRefusal refusal) {
    switch (refusal) {
        case BufferRefusal::size: return "size";
        case BufferRefusal::total: return "total";
        case BufferRefusal::disk: return "disk";
    }
    std::abort();
}

enum class BufferedBody : std::uint8_t { request, response };
constexpr std::size_t buffered_bodies = 2;
[[nodiscard]] constexpr std::string_view name(BufferedBody body) {
    return body == BufferedBody::request ? "request" : "response";
}

/// Its loop alone writes.
struct alignas(64) BufferUse {
    Counter memory, file;  ///< bytes, now
    Counter spilled;       ///< bytes ever written to files
    /// Bodies without room, by BufferedBody and BufferRefusal: requests that were refused, responses that
    /// waited for their client.
    std::array<std::array<Counter, buffer_refusals>, buffered_bodies> refused;
};

}  // namespace ipc
