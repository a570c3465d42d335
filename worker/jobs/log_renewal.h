// worker/jobs/log_renewal.h: writes a file's bytes once more, so that a sync is about them again.
#pragma once

#include <string>

#include "ipc/result.h"
#include "worker/jobs/sqlite_disk.h"

namespace worker::jobs {

/// After a sync that failed the kernel takes pages for written that are not (they can still be read): a later
/// sync succeeds without them. SQLite would go on behind them in its log, and after a power cut find the log
/// to end before. This writes each byte over itself and syncs. Nothing to do where there is no such file.
/// `watch` may be null.
ipc::Result<void> renew_log(const std::string& path, DiskWatch* watch);

}  // namespace worker::jobs
