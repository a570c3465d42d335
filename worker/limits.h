// worker/limits.h: what a worker's process may use of the machine.
#pragma once

#include <cstdint>
#include <optional>

#include "ipc/result.h"

namespace worker {

/// Bytes of a core file; none: as inherited. To raise it beyond the hard limit takes root.
[[nodiscard]] ipc::Result<void> limit_core(std::optional<std::uint64_t> bytes);

/// Keeps this thread, and those it starts, on one of the processors it may use: each number on another, as
/// far as there are any.
[[nodiscard]] ipc::Result<void> stay_on_processor(std::uint32_t number);

}  // namespace worker
