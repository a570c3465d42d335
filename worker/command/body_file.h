// worker/command/body_file.h: a job's body from a file or from standard input.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/result.h"

namespace worker::command {

/// All of it, until its end; blocks. `-`: standard input. Fails when it is longer than `bytes_max`, of which
/// it holds no more.
[[nodiscard]] ipc::Result<std::string> read_body(const std::string& path, std::uint64_t bytes_max);

}  // namespace worker::command
