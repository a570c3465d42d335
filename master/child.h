// master/child.h: a forked process of our own, known by its pidfd, never by a number that may be reused.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <vector>

#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace master {

/// How a child ended.
struct Ending {
    int signal = 0;     ///< 0: it left by itself
    int status = 0;     ///< its exit status then
    bool core = false;  ///< a core was written

    /// "signal SIGSEGV, core written", "exit status 3".
    [[nodiscard]] std::string text() const;
};

class Child {
 public:
    Child() noexcept = default;

    /// Forks. The child keeps 0, 1, 2 and `keep`, has every signal at its default action (SIGPIPE stays
    /// ignored) and unblocked, runs `body` and exits with what that returns. It must leave everything
    /// inherited alone, above all event bases: the memory is a copy, but their kernel objects are shared.
    [[nodiscard]] static ipc::Result<Child> fork(std::vector<int> keep, const std::function<int()>& body);

    /// As `fork`, but the new process is a child of our parent, which hears of it by other means and adopts
    /// it; it is in our process group. Returns its pid. Only for a process of one thread: what the C library
    /// does around a fork is left out.
    [[nodiscard]] static ipc::Result<pid_t> fork_for_parent(std::vector<int> keep,
                                                            const std::function<int()>& body);
    /// A child of ours that another process forked for us. Fails when `pid` is none of ours.
    [[nodiscard]] static ipc::Result<Child> adopt(pid_t pid);

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    /// Becomes readable when the child ends; -1 when there is none.
    [[nodiscard]] int fd() const noexcept { return pidfd_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(pidfd_); }

    void signal(int number) const noexcept;
    /// Collects a child that has ended; none when it still runs. This then holds no child any more.
    /// One that somebody else collected has ended too; nobody knows how, and it counts as killed.
    [[nodiscard]] std::optional<Ending> reap();

 private:
    Child(pid_t pid, ipc::UniqueFd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}

    pid_t pid_ = -1;
    ipc::UniqueFd pidfd_;
};

}  // namespace master
