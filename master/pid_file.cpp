// master/pid_file.cpp: flock on the file itself, checked against the name after it was taken.
#include "master/pid_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace master {
namespace {

/// Whether the name still means the file that is open.
bool still_named(int file, const std::string& path) {
    struct stat open_one {};
    struct stat named_one {};
    return ::fstat(file, &open_one) == 0 && ::stat(path.c_str(), &named_one) == 0 &&
           open_one.st_dev == named_one.st_dev && open_one.st_ino == named_one.st_ino;
}

std::string number_in(int file) {
    std::array<char, 16> bytes{};
    const auto size = std::max<ssize_t>(::pread(file, bytes.data(), bytes.size(), 0), 0);
    const std::string_view text(bytes.data(), static_cast<std::size_t>(size));
    return std::string(text.substr(0, text.find_first_not_of("0123456789")));
}

}  // namespace

ipc::Result<PidFile> PidFile::lock(const std::string& path) {
    for (;;) {
        ipc::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!file) return ipc::system_error("open pid file " + path);
        if (::flock(file.get(), LOCK_EX | LOCK_NB) < 0) {
            if (errno != EWOULDBLOCK) return ipc::system_error("lock pid file " + path);
            const auto holder = number_in(file.get());
            std::string refusal = "already running";
            refusal.append(holder.empty() ? " (still starting)" : " as pid ").append(holder);
            return ipc::failure(refusal.append(": pid file ").append(path).append(" is locked"));
        }
        if (!still_named(file.get(), path)) continue;  // the last holder removed it meanwhile
        if (::ftruncate(file.get(), 0) < 0) return ipc::system_error("empty pid file " + path);
        return PidFile(std::move(file), path);
    }
}

PidFile PidFile::adopt(ipc::UniqueFd file, const std::string& path) {
    PidFile adopted(std::move(file), path);
    adopted.leave();
    return adopted;
}

PidFile::~PidFile() {
    if (file_ && ours_ && still_named(file_.get(), path_)) ::unlink(path_.c_str());
}

ipc::Result<void> PidFile::write() {
    const std::string line = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file_.get(), 0) < 0 ||
        ::pwrite(file_.get(), line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
        return ipc::system_error("write pid file " + path_);
    return {};
}

}  // namespace master
