#include "worker/jobs/store_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <filesystem>
#include <thread>

namespace worker::jobs {
namespace {

ipc::Result<void> make_folder(const std::filesystem::path& folder) {
    std::error_code error;
    if (folder.empty() || std::filesystem::is_directory(folder, error)) return {};
    if (const auto above = folder.parent_path(); !above.empty() && above != folder)
        std::filesystem::create_directories(above, error);  // what is wrong shows next
    if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST)
        return ipc::system_error(fmt::format("create folder {}", folder.string()));
    return {};
}

}  // namespace

bool StoreLock::is_network(long type) noexcept {
    switch (static_cast<std::uint32_t>(type)) {
        case 0x6969:      // NFS
        case 0x517B:      // SMB
        case 0xFE534D42:  // SMB 2 and 3
        case 0xFF534D42:  // CIFS
        case 0x5346414F:  // AFS
        case 0x6B414653:  // the kernel's AFS
        case 0x564C:      // NCP
        case 0x73757245:  // Coda
            return true;
        default: return false;
    }
}

ipc::Result<StoreLock> StoreLock::take(const std::string& path, std::chrono::milliseconds wait) {
    const auto folder = std::filesystem::path(path).parent_path();
    if (auto made = make_folder(folder); !made) return tl::make_unexpected(made.error());
    struct statfs where {};
    if (::statfs(folder.empty() ? "." : folder.c_str(), &where) < 0)
        return ipc::system_error(fmt::format("statfs {}", folder.string()));
    if (is_network(where.f_type))
        return ipc::failure(fmt::format(
            "{}: is on a file system of a network; a store has to be on a disk of this machine", path));

    const std::string name = path + ".lock";
    ipc::UniqueFd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return ipc::system_error(fmt::format("open {}", name));
    const auto until = std::chrono::steady_clock::now() + wait;
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return ipc::system_error(fmt::format("lock {}", name));
        if (std::chrono::steady_clock::now() >= until)
            return tl::make_unexpected(
                ipc::Error{fmt::format("{}: another process has it as its store", path),
                           std::make_error_code(std::errc::device_or_resource_busy)});
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    // before SQLite does it, with a mode of our own; closed again before SQLite locks anything in it
    const ipc::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file) return ipc::system_error(fmt::format("open {}", path));
    return StoreLock(std::move(lock));
}

}  // namespace worker::jobs
