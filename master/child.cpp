// master/child.cpp: fork, clean up in the child, wait by pidfd in the parent.
#include "master/child.h"

#include <linux/sched.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

/// What the parent's end of a fork has after it, in the child.
[[noreturn]] void live(std::vector<int> keep, const std::function<int()>& body) {
    close_others(std::move(keep));
    default_signals();
    ::_exit(body());  // nothing of the parent's is destroyed, flushed or freed
}

/// Where the C library keeps the number of the main thread: a fork of its own would write it there.
std::uint64_t thread_number_address() {
    int* address = nullptr;
    if (::prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) != 0) return 0;
    return reinterpret_cast<std::uintptr_t>(address);
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
    if (pid == 0) live(std::move(keep), body);
    ipc::UniqueFd pidfd(::pidfd_open(pid, 0));  // not reaped yet, so the number is still the child's
    if (!pidfd) {
        auto failed = ipc::system_error("pidfd_open");
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return failed;
    }
    return Child(pid, std::move(pidfd));
}

ipc::Result<pid_t> Child::fork_for_parent(std::vector<int> keep, const std::function<int()>& body) {
    clone_args how{};
    how.flags = CLONE_PARENT;  // and so the signal of its end is that of ours
    if (const auto address = thread_number_address(); address != 0) {
        how.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
        how.child_tid = address;
    }
    const auto pid = ::syscall(SYS_clone3, &how, sizeof how);
    if (pid < 0) return ipc::system_error("clone3");
    if (pid == 0) live(std::move(keep), body);
    return static_cast<pid_t>(pid);
}

ipc::Result<Child> Child::adopt(pid_t pid) {
    ipc::UniqueFd pidfd(::pidfd_open(pid, 0));
    if (!pidfd) return ipc::system_error("pidfd_open");
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return ipc::system_error("wait for a child that another process forked");
    return Child(pid, std::move(pidfd));
}

void Child::signal(int number) const noexcept {
    if (pidfd_) ::pidfd_send_signal(pidfd_.get(), number, nullptr, 0);
}

std::optional<Ending> Child::reap() {
    siginfo_t info{};
    if (!pidfd_) return std::nullopt;
    const int got = ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
    const bool unknown = got < 0 && errno == ECHILD;  // somebody else has collected it
    if (!unknown && (got < 0 || info.si_pid == 0)) return std::nullopt;
    pidfd_.reset();
    pid_ = -1;
    if (unknown) return Ending{.signal = SIGKILL, .status = 0, .core = false};
    if (info.si_code == CLD_EXITED) return Ending{.signal = 0, .status = info.si_status, .core = false};
    return Ending{.signal = info.si_status, .status = 0, .core = info.si_code == CLD_DUMPED};
}

}  // namespace master
