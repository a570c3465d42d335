// worker/jobs/store_folder.h: the folder of the store, for whom root will be.
#pragma once

#include <string>

#include "ipc/result.h"

namespace worker::jobs {

/// As root, which that user will be instead: makes the folder of that file, for nobody but the user. One that
/// is there stays as it is. Otherwise nothing: whoever opens the store makes what it can. `user` empty:
/// www-data.
[[nodiscard]] ipc::Result<void> make_store_folder(const std::string& path, const std::string& user);

}  // namespace worker::jobs
