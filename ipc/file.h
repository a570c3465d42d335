// ipc/file.h: files that fit into memory.
#pragma once

#include <cstddef>
#include <string>

#include "ipc/result.h"

namespace ipc {

/// No file is longer that `read_file` reads.
constexpr std::size_t file_bytes_max = 16u << 20;

/// All of an open file, from its beginning; its offset stays as it is.
[[nodiscard]] Result<std::string> read_file(int file);

}  // namespace ipc
