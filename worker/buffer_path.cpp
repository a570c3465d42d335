#include "worker/buffer_path.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "conf/plan.h"
#include "ipc/unique_fd.h"
#include "worker/privileges.h"

namespace worker {
namespace {

/// Empty: it can.
std::string why_not(const conf::Config& config, int parent) {
    if (auto dropped = drop_privileges(config.reeve.user, parent); !dropped) return dropped.error().text();
    const auto opened = open_buffer_path(config);
    return opened ? std::string() : opened.error().text();
}

}  // namespace

ipc::Result<std::optional<connection::SpillFolder>> open_buffer_path(const conf::Config& config) {
    if (!conf::spills(config)) return std::nullopt;
    auto folder = connection::SpillFolder::open(config.execution.buffer_path);
    if (!folder) return tl::make_unexpected(std::move(folder.error()));
    return std::optional(std::move(*folder));
}

ipc::Result<void> try_buffer_path(const conf::Config& config) {
    if (!conf::spills(config)) return {};
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return ipc::system_error("try buffer_path");
    const ipc::UniqueFd reading(ends[0]);
    ipc::UniqueFd writing(ends[1]);
    const int parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return ipc::system_error("try buffer_path");
    if (child == 0) {
        const std::string why = why_not(config, parent);
        const bool told = ::write(writing.get(), why.data(), why.size()) == static_cast<ssize_t>(why.size());
        ::_exit(told ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    writing.reset();
    std::string why;
    char some[512];
    for (ssize_t got = 0; (got = ::read(reading.get(), some, sizeof some)) != 0;) {
        if (got < 0 && errno != EINTR) break;
        if (got > 0) why.append(some, static_cast<std::size_t>(got));
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!why.empty()) return ipc::failure(std::move(why));
    if (status != 0) return ipc::failure("buffer_path could not be tried");
    return {};
}

}  // namespace worker
