// worker/handler/open_file.h: one version of a file: its identity, and its bytes in memory or behind a
// descriptor.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/unique_fd.h"
#include "worker/connection/output.h"
#include "worker/connection/shared.h"

namespace worker::handler {

/// Bytes of file contents that a loop may keep in memory, over all its files. Any thread; owned by the loop
/// and every file, for a thread may be left with one.
class MemoryBudget {
 public:
    explicit MemoryBudget(std::uint64_t max) noexcept : left_(max) {}
    [[nodiscard]] bool take(std::uint64_t bytes) noexcept {
        auto left = left_.load(std::memory_order_relaxed);
        do {
            if (bytes > left) return false;
        } while (!left_.compare_exchange_weak(left, left - bytes, std::memory_order_relaxed));
        return true;
    }
    void give_back(std::uint64_t bytes) noexcept { left_.fetch_add(bytes, std::memory_order_relaxed); }

 private:
    std::atomic<std::uint64_t> left_;
};

/// What the file was when it was opened. It may be in the middle of responses after the cache forgot it.
class OpenFile final : public connection::Shared {
 public:
    /// Reads the contents when they are at most `small` bytes and the budget has room.
    OpenFile(ipc::UniqueFd file, const struct stat& status, std::uint64_t small,
             std::shared_ptr<MemoryBudget> budget);
    ~OpenFile() override { budget_->give_back(contents_.size()); }

    /// Whether `status` is of the same file in the same version.
    [[nodiscard]] bool is(const struct stat& status) const noexcept;
    [[nodiscard]] bool is(const OpenFile& other) const noexcept { return is(other.status_); }
    /// A strong entity tag with its quotes: time of change to the nanosecond, and size.
    [[nodiscard]] std::string_view etag() const noexcept { return etag_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return static_cast<std::uint64_t>(status_.st_size); }
    [[nodiscard]] std::int64_t modified() const noexcept { return status_.st_mtim.tv_sec; }  ///< Unix seconds

    /// `size` bytes from `offset` on, to be sent; holds this in place.
    [[nodiscard]] connection::Chunk chunk(std::uint64_t offset, std::uint64_t size);

 private:
    bool read_contents();

    ipc::UniqueFd file_;  ///< none once the contents are in memory
    struct stat status_;
    std::shared_ptr<MemoryBudget> budget_;
    std::vector<char> contents_;
    std::string etag_;
};

}  // namespace worker::handler
