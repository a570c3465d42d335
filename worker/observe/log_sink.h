// worker/observe/log_sink.h: writes whole lines to a file, a pipe or a terminal, and never waits for a
// reader.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "ipc/unique_fd.h"

namespace worker::observe {

/// One descriptor opened for appending. Not thread-safe; SIGPIPE must be blocked or ignored.
/// Pipes and terminals get whole lines of up to PIPE_BUF bytes at once, so that the lines of several
/// processes do not mix; files get all of a buffer at once.
class LogSink {
 public:
    enum class Outcome : std::uint8_t { written, blocked, failed };

    explicit LogSink(ipc::UniqueFd descriptor) { reopen(std::move(descriptor)); }

    /// Writes from here on to another descriptor; the old one is closed.
    void reopen(ipc::UniqueFd descriptor);

    /// Writes from the front of `rest` and takes off what was written. On `blocked`, poll for POLLOUT and
    /// call again with the rest. On `failed`, errno tells why; try again, or abandon the rest.
    [[nodiscard]] Outcome write(std::string_view& rest);
    /// The rest will not come: a line cut in its middle gets its newline before the next one.
    void abandon() noexcept { torn_ = torn_ || mid_line_; }

    [[nodiscard]] int fd() const noexcept { return descriptor_.get(); }

 private:
    /// Writes one chunk: `written` means some of it.
    Outcome write_some(std::string_view& rest, std::string_view chunk);

    ipc::UniqueFd descriptor_;
    bool is_file_ = true;    ///< a regular file: writing waits for the disk alone
    bool mid_line_ = false;  ///< the last byte written was no newline
    bool torn_ = false;      ///< and its line will not go on
};

}  // namespace worker::observe
