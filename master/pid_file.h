// master/pid_file.h: the lock that makes an instance the only one, and the file that names it.
#pragma once

#include <string>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// Holds the lock for life; removes the file at the end. The number in it is for people: nobody is ever
/// signalled by it, and a file without a lock is only litter.
class PidFile {
 public:
    /// Takes the lock. Refused while another process holds it, naming that one's pid.
    [[nodiscard]] static ipc::Result<PidFile> lock(const std::string& path);

    /// A file that is open and locked already, by whoever handed it to us, whose it stays until `keep`.
    [[nodiscard]] static PidFile adopt(ipc::UniqueFd file, const std::string& path);

    PidFile(PidFile&&) noexcept = default;
    PidFile& operator=(PidFile&&) = delete;
    ~PidFile();

    /// To hand on; the lock goes with it.
    [[nodiscard]] int fd() const noexcept { return file_.get(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// The file is ours to remove from now on; or somebody else's.
    void keep() noexcept { ours_ = true; }
    void leave() noexcept { ours_ = false; }

    /// Names us: the master that serves.
    [[nodiscard]] ipc::Result<void> write();

 private:
    PidFile(ipc::UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    ipc::UniqueFd file_;
    std::string path_;
    bool ours_ = true;
};

}  // namespace master
