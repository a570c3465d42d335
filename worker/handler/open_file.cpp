#include "worker/handler/open_file.h"

#include <fmt/format.h>
#include <unistd.h>

namespace worker::handler {
namespace {

bool equal(const timespec& a, const timespec& b) noexcept {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

OpenFile::OpenFile(ipc::UniqueFd file, const struct stat& status, std::uint64_t small,
                   std::shared_ptr<MemoryBudget> budget)
    : file_(std::move(file)),
      status_(status),
      budget_(std::move(budget)),
      etag_(
          fmt::format("\"{:x}{:08x}-{:x}\"", status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size)) {
    if (size() > small || !budget_->take(size())) return;
    if (read_contents()) {
        file_.reset();
    } else {
        budget_->give_back(size());
        contents_.clear();
    }
}

/// False when the file is not what it said: it is being changed, so leave it to be sent as it then is.
bool OpenFile::read_contents() {
    contents_.resize(size());
    std::size_t have = 0;
    while (have < contents_.size()) {
        const ssize_t got =
            ::pread(file_.get(), contents_.data() + have, contents_.size() - have, static_cast<off_t>(have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        have += static_cast<std::size_t>(got);
    }
    return true;
}

bool OpenFile::is(const struct stat& other) const noexcept {
    return status_.st_dev == other.st_dev && status_.st_ino == other.st_ino &&
           status_.st_size == other.st_size && equal(status_.st_mtim, other.st_mtim) &&
           equal(status_.st_ctim, other.st_ctim);
}

connection::Chunk OpenFile::chunk(std::uint64_t offset, std::uint64_t length) {
    connection::Chunk chunk;
    chunk.keeper = connection::Ref<connection::Shared>(this);
    chunk.size = length;
    if (file_) {
        chunk.file = file_.get();
        chunk.offset = static_cast<off_t>(offset);
    } else {
        chunk.bytes = contents_.data() + offset;
    }
    return chunk;
}

}  // namespace worker::handler
