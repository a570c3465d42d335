// master/daemon.h: leaving the terminal, with a parent that waits until the server serves.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// How the report of a start that went well begins; a note for people may follow.
constexpr char serves_report = '\0';

/// Tells whoever waits for the start how it went: the parent of a daemon, or in the foreground nobody.
class StartReport {
 public:
    StartReport() noexcept = default;
    explicit StartReport(ipc::UniqueFd pipe) noexcept : pipe_(std::move(pipe)) {}

    /// All workers are READY. `note`: what an upgrade's caller should know.
    void succeeded(const std::string& note = {});
    /// The reason reaches the parent's stderr, or ours in the foreground. Only the first report counts.
    void failed(const std::string& why);

 private:
    ipc::UniqueFd pipe_;
    bool done_ = false;
};

/// Of the parent: the exit status to leave with. The reason of a failure is on stderr already.
struct DaemonParent {
    int exit_status = 1;
};

/// Puts /dev/null where 0, 1 or 2 is closed, so that no socket ever gets one of these numbers.
[[nodiscard]] ipc::Result<void> fill_standard_descriptors();

/// Forks. The child goes on in a session of its own, in "/", with 0, 1 and 2 on /dev/null, and has a report
/// to make. The parent waits for it: 0 when the server serves, 1 when it cannot or the child has died.
[[nodiscard]] ipc::Result<std::variant<StartReport, DaemonParent>> daemonize();

}  // namespace master
