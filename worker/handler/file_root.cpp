#include "worker/handler/file_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace worker::handler {
namespace {

constexpr int tries_max = 4;  // a rename elsewhere makes the kernel unsure: EAGAIN

}  // namespace

tl::expected<Opened, int> FileRoot::open(std::string_view path) {
    // Non-blocking, so that a FIFO under the root stops nobody.
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

tl::expected<struct stat, int> FileRoot::look(std::string_view path) {
    const auto opened = open(path, O_PATH | O_CLOEXEC);
    if (!opened) return tl::make_unexpected(opened.error());
    return opened->status;
}

tl::expected<Opened, int> FileRoot::open(std::string_view path, std::uint64_t flags) {
    if (!folder_) {
        folder_ = ipc::UniqueFd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!folder_) return tl::make_unexpected(errno);
    }
    path.remove_prefix(path.starts_with('/') ? 1 : 0);
    room_.assign(path.empty() ? std::string_view(".") : path);
    Opened opened{ipc::UniqueFd(open_beneath(room_.c_str(), flags)), {}};
    if (!opened.file) return tl::make_unexpected(errno);
    if (::fstat(opened.file.get(), &opened.status) != 0) return tl::make_unexpected(errno);
    return opened;
}

int FileRoot::open_beneath(const char* path, std::uint64_t flags) const noexcept {
    open_how how{};
    how.flags = flags;
    how.resolve = RESOLVE_NO_MAGICLINKS | (symlinks_ ? 0u : RESOLVE_BENEATH);
    long file = -1;
    for (int tries = 0; tries < tries_max; ++tries) {
        file = ::syscall(SYS_openat2, folder_.get(), path, &how, sizeof how);
        if (file >= 0 || (errno != EAGAIN && errno != EINTR)) break;
    }
    return static_cast<int>(file);
}

}  // namespace worker::handler
