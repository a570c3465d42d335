#include "worker/connection/spill_folder.h"

#include <fcntl.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace worker::connection {
namespace {

constexpr int attempts_max = 8;  // at a name that nobody else has
constexpr mode_t ours_alone = 0600;

ipc::UniqueFd make_named(int folder) {
    for (int tried = 0; tried < attempts_max; ++tried) {
        std::uint64_t random = 0;
        if (::getrandom(&random, sizeof random, 0) != sizeof random) return {};
        std::array<char, 40> name{};
        std::snprintf(name.data(), name.size(), ".reeve-%016llx", static_cast<unsigned long long>(random));
        ipc::UniqueFd file(
            ::openat(folder, name.data(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, ours_alone));
        if (!file && errno == EEXIST) continue;
        if (file && ::unlinkat(folder, name.data(), 0) < 0) return {};
        return file;
    }
    return {};
}

}  // namespace

ipc::Result<SpillFolder> SpillFolder::open(const std::string& path, bool named) {
    SpillFolder folder;
    folder.path_ = path;
    folder.named_ = named;
    folder.folder_ = ipc::UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder.folder_) return ipc::system_error("buffer_path " + path);
    if (folder.make()) return folder;
    if (!named && (errno == EOPNOTSUPP || errno == EISDIR)) {
        folder.named_ = true;
        if (folder.make()) return folder;
    }
    return ipc::system_error("buffer_path " + path + ": make a file");
}

std::optional<SpillFolder> SpillFolder::share() const {
    SpillFolder other;
    other.path_ = path_;
    other.named_ = named_;
    other.folder_ = ipc::UniqueFd(::fcntl(folder_.get(), F_DUPFD_CLOEXEC, 3));
    if (!other.folder_) return std::nullopt;
    return other;
}

ipc::UniqueFd SpillFolder::make() const {
    if (named_) return make_named(folder_.get());
    return ipc::UniqueFd(::openat(folder_.get(), ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, ours_alone));
}

}  // namespace worker::connection
