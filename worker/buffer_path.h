// worker/buffer_path.h: the folder of the files of buffered bodies, at a start and at `reeve -t`.
#pragma once

#include <optional>

#include "conf/config.h"
#include "ipc/result.h"
#include "worker/connection/spill_folder.h"

namespace worker {

/// None where no route wants files. Fails where this process, with the rights it has by now, cannot make any.
[[nodiscard]] ipc::Result<std::optional<connection::SpillFolder>> open_buffer_path(
    const conf::Config& config);

/// The same with the rights of a worker, in a child. For one thread only.
[[nodiscard]] ipc::Result<void> try_buffer_path(const conf::Config& config);

}  // namespace worker
