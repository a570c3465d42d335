// master/limits.h: what the machine allows and has.
#pragma once

#include <cstdint>

#include "ipc/result.h"

namespace master {

/// Lets this process and its children open that many files; 0: as many as the hard limit.
/// Root may go over the hard limit. Returns the limit that holds now.
[[nodiscard]] ipc::Result<std::uint64_t> raise_open_files(std::uint64_t wanted);

/// The CPUs this process may run on: at least 1.
[[nodiscard]] std::uint32_t usable_cpus() noexcept;

}  // namespace master
