#include "worker/observe/log_sink.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>

namespace worker::observe {

namespace {

/// The same pipe or terminal with O_NONBLOCK of its own: set on `fd` itself, it would change for every
/// process that shares it, a shell on the terminal too. Invalid when the system refuses (a socket, a pipe of
/// another user).
ipc::UniqueFd non_blocking_twin(int fd) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    return ipc::UniqueFd(::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

bool writable(int fd) {
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    return ::poll(&ready, 1, 0) > 0;  // errors too: write tells which
}

/// What a pipe takes at once or not at all, cut after a line where one ends.
std::string_view atomic_chunk(std::string_view rest) {
    if (rest.size() <= PIPE_BUF) return rest;
    const auto line_end = rest.substr(0, PIPE_BUF).rfind('\n');
    return rest.substr(0, line_end == std::string_view::npos ? PIPE_BUF : line_end + 1);
}

}  // namespace

void LogSink::reopen(ipc::UniqueFd descriptor) {
    descriptor_ = std::move(descriptor);
    mid_line_ = torn_ = false;
    struct stat info {};
    is_file_ = ::fstat(descriptor_.get(), &info) == 0 && S_ISREG(info.st_mode);
    if (is_file_) return;
    if (auto twin = non_blocking_twin(descriptor_.get())) descriptor_ = std::move(twin);
}

LogSink::Outcome LogSink::write(std::string_view& rest) {
    if (torn_ && !rest.empty()) {
        std::string_view newline = "\n";
        if (const auto outcome = write_some(newline, newline); outcome != Outcome::written) return outcome;
        torn_ = false;
    }
    while (!rest.empty()) {
        const auto outcome = write_some(rest, is_file_ ? rest : atomic_chunk(rest));
        if (outcome != Outcome::written) return outcome;
    }
    return Outcome::written;
}

LogSink::Outcome LogSink::write_some(std::string_view& rest, std::string_view chunk) {
    if (!is_file_ && !writable(descriptor_.get())) return Outcome::blocked;
    for (;;) {
        const ssize_t written = ::write(descriptor_.get(), chunk.data(), chunk.size());
        if (written > 0) {
            mid_line_ = chunk[static_cast<std::size_t>(written) - 1] != '\n';
            rest.remove_prefix(static_cast<std::size_t>(written));
            return Outcome::written;
        }
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) return Outcome::blocked;
        if (written == 0) errno = EIO;
        return Outcome::failed;
    }
}

}  // namespace worker::observe
