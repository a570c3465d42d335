// worker/leave_signals.h: the signals that end a child of the master, as a descriptor.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include <cstdlib>

#include "ipc/unique_fd.h"

namespace worker {

/// TERM and QUIT, in case nobody can reach us by the channel; INT and the master's other signals reach the
/// whole terminal group, and are the master's to act on.
[[nodiscard]] inline ipc::UniqueFd open_leave_signals() {
    for (const int ignored : {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE})
        ::signal(ignored, SIG_IGN);
    sigset_t wanted;
    ::sigemptyset(&wanted);
    ::sigaddset(&wanted, SIGTERM);
    ::sigaddset(&wanted, SIGQUIT);
    ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    ipc::UniqueFd signals(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals) std::abort();
    return signals;
}

}  // namespace worker
