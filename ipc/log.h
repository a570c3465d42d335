// ipc/log.h: the error log of every process, through spdlog; set up after fork, never before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace ipc {

/// How a process writes its error log.
struct LogPlan {
    std::string path = "stderr";  ///< "stderr" or a file, opened for appending
    int level = 2;                ///< spdlog's numbers: 0 trace ... 6 off
    bool json = false;            ///< one JSON object a line instead of text
};

/// Makes spdlog's default logger write as planned; `role` ("master", "worker/3") is in every line.
/// `fd` >= 0: write there instead of opening `path`, unless that is "stderr"; a copy is kept, so the caller
/// may close its own.
/// May be called again, also while other threads log: with the same role, format and level only the
/// file is exchanged, and nothing is written to the old one any more once this returns.
/// A full disk or a reader that is stuck loses lines, never blocks longer than a moment.
[[nodiscard]] Result<void> open_log(const LogPlan& plan, const std::string& role, int fd = -1);

/// From which level on this process logs.
void set_log_level(int level);
/// "info" and the like as spdlog's number; none for another word.
[[nodiscard]] std::optional<int> log_level(std::string_view word);

/// Opens the file of `plan` for appending, as `open_log` would; a UniqueFd of none for "stderr".
[[nodiscard]] Result<UniqueFd> open_log_file(const std::string& path);

/// The descriptor that the default logger writes to; -1 before `open_log`. To be kept over a fork.
[[nodiscard]] int log_descriptor();

/// One line as it will be written, newline included: no message can end it early or forge another.
/// `time` is in nanoseconds since the epoch, `level` spdlog's number.
[[nodiscard]] std::string log_line(const LogPlan& plan, std::string_view role, int pid, std::int64_t time,
                                   int level, std::string_view message);

}  // namespace ipc
