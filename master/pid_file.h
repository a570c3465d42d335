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

    PidFile(PidFile&&) noexcept = default;
    PidFile& operator=(PidFile&&) = delete;
    ~PidFile();

    /// Names us: the master that serves.
    [[nodiscard]] ipc::Result<void> write();

 private:
    PidFile(ipc::UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    ipc::UniqueFd file_;
    std::string path_;
};

}  // namespace master
