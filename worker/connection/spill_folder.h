// worker/connection/spill_folder.h: makes files that nobody else sees, and that are gone with their last
// descriptor.
#pragma once

#include <optional>
#include <string>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace worker::connection {

/// A folder that is held open. Whatever becomes of the process, none of its files is left.
class SpillFolder {
 public:
    /// Tries it: fails where this process cannot make files. `named`: as if the file system knew no files
    /// without a name.
    [[nodiscard]] static ipc::Result<SpillFolder> open(const std::string& path, bool named = false);

    /// The same for another loop; none: there is no descriptor for it.
    [[nodiscard]] std::optional<SpillFolder> share() const;
    /// For reading and writing, of this user alone. Empty with errno set: it cannot be made.
    [[nodiscard]] ipc::UniqueFd make() const;
    /// The file system knows no files without a name (open(2), O_TMPFILE): each has one until it has been
    /// taken away, which is at once, but not the same moment.
    [[nodiscard]] bool names_files() const noexcept { return named_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
    std::string path_;
    ipc::UniqueFd folder_;
    bool named_ = false;
};

}  // namespace worker::connection
