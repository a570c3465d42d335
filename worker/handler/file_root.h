// worker/handler/file_root.h: opens paths under a root and nowhere else.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "ipc/unique_fd.h"

namespace worker::handler {

/// A file or folder, as it was when opened.
struct Opened {
    ipc::UniqueFd file;
    struct stat status {};
};

/// The root's own path may be a link that is switched to another release: it is looked up again now and
/// then. Below it the kernel keeps `..` and links inside (openat2, RESOLVE_BENEATH), unless links may leave.
class FileRoot {
 public:
    FileRoot(std::string root, bool symlinks) : root_(std::move(root)), symlinks_(symlinks) {}

    /// `path` begins with "/" and is normalised. Fails with errno.
    [[nodiscard]] tl::expected<Opened, int> open(std::string_view path);
    /// What `path`, as above, is: without the right to read it. Fails with errno.
    [[nodiscard]] tl::expected<struct stat, int> look(std::string_view path);
    /// Forgets which folder the root's path named.
    void look_again() noexcept { folder_.reset(); }

 private:
    [[nodiscard]] tl::expected<Opened, int> open(std::string_view path, std::uint64_t flags);
    [[nodiscard]] int open_beneath(const char* path, std::uint64_t flags) const noexcept;

    std::string root_;
    bool symlinks_;
    ipc::UniqueFd folder_;
    std::string room_;
};

}  // namespace worker::handler
