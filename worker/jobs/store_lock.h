// worker/jobs/store_lock.h: makes sure that a file is there and that one process alone uses it as a store.
#pragma once

#include <chrono>
#include <string>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace worker::jobs {

/// Holds the lock for as long as it lives; the lock goes with the process, however that ends.
class StoreLock {
 public:
    /// Creates the folder (0700, those above it as usual) and the file (0600) where there are none, and locks
    /// PATH.lock; waits up to `wait` for whoever has it, then fails with EBUSY. Refuses file systems of a
    /// network, where neither locks nor syncs can be relied on.
    static ipc::Result<StoreLock> take(const std::string& path, std::chrono::milliseconds wait);

    /// Of statfs(2).
    [[nodiscard]] static bool is_network(long type) noexcept;

 private:
    explicit StoreLock(ipc::UniqueFd file) : file_(std::move(file)) {}
    ipc::UniqueFd file_;
};

}  // namespace worker::jobs
