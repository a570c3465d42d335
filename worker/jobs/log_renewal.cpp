#include "worker/jobs/log_renewal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <vector>

#include "ipc/unique_fd.h"

namespace worker::jobs {

ipc::Result<void> renew_log(const std::string& path, DiskWatch* watch) {
    const ipc::UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!file && errno == ENOENT) return {};
    if (!file) return ipc::system_error(fmt::format("open {}", path));

    std::vector<char> bytes(256UL * 1024);
    for (off_t at = 0;;) {
        const ssize_t got = ::pread(file.get(), bytes.data(), bytes.size(), at);
        if (got < 0) return ipc::system_error(fmt::format("read {}", path));
        if (got == 0) break;
        if (watch != nullptr &&
            watch->write(path, at, {bytes.data(), static_cast<std::size_t>(got)}) != SQLITE_OK)
            return ipc::failure(fmt::format("write {}", path));
        for (ssize_t written = 0; written < got;) {
            const ssize_t now = ::pwrite(file.get(), bytes.data() + written,
                                         static_cast<std::size_t>(got - written), at + written);
            if (now < 0) return ipc::system_error(fmt::format("write {}", path));
            written += now;
        }
        at += got;
    }
    if (watch != nullptr && watch->sync(path) != SQLITE_OK) return ipc::failure(fmt::format("sync {}", path));
    if (::fsync(file.get()) < 0) return ipc::system_error(fmt::format("sync {}", path));
    return {};
}

}  // namespace worker::jobs
