// master/child.cpp: fork, clean up in the child, wait by pidfd in the parent.
#include "master/child.h"

#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets it in this header
#include <sys/pidfd.h>
}

#include <algorithm>
#include <utility>

namespace master {
namespace {

/// Closes everything from 3 on that is not in `keep`.
void close_others(std::vector<int> keep) {
    std::sort(keep.begin(), keep.end());
    unsigned int next = 3;
    for (const int fd : keep) {
        if (fd < 3) continue;
        const auto kept = static_cast<unsigned int>(fd);
        if (kept > next) ::close_range(next, kept - 1, 0);
        next = std::max(next, kept + 1);
    }
    ::close_range(next, ~0u, 0);
}

void default_signals() {
    for (int number = 1; number < NSIG; ++number)
        if (number != SIGKILL && number != SIGSTOP && number != SIGPIPE) ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

std::string Ending::text() const {
    if (signal == 0) return fmt::format("exit status {}", status);
    const char* name = ::sigabbrev_np(signal);
    return fmt::format("signal {}{}", name != nullptr ? fmt::format("SIG{}", name) : std::to_string(signal),
                       core ? ", core written" : "");
}

ipc::Result<Child> Child::fork(std::vector<int> keep, const std::function<int()>& body) {
    const pid_t pid = ::fork();
    if (pid < 0) return ipc::system_error("fork");
    if (pid == 0) {
        close_others(std::move(keep));
        default_signals();
        ::_exit(body());  // nothing of the parent's is destroyed, flushed or freed
    }
    ipc::UniqueFd pidfd(::pidfd_open(pid, 0));  // not reaped yet, so the number is still the child's
    if (!pidfd) {
        auto failed = ipc::system_error("pidfd_open");
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return failed;
    }
    return Child(pid, std::move(pidfd));
}

void Child::signal(int number) const noexcept {
    if (pidfd_) ::pidfd_send_signal(pidfd_.get(), number, nullptr, 0);
}

std::optional<Ending> Child::reap() {
    siginfo_t info{};
    if (!pidfd_ || ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0)
        return std::nullopt;
    pidfd_.reset();
    pid_ = -1;
    if (info.si_code == CLD_EXITED) return Ending{.signal = 0, .status = info.si_status, .core = false};
    return Ending{.signal = info.si_status, .status = 0, .core = info.si_code == CLD_DUMPED};
}

}  // namespace master
