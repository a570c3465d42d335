// worker/sandbox.cpp: a list of what is allowed, by what it is needed for (seccomp(2), by libseccomp).
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <span>

#include "ipc/sanitized.h"

namespace worker {
namespace {

struct Release {
    void operator()(void* filter) const noexcept { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

// Connections, channel and timers.
constexpr std::array network{
    SCMP_SYS(accept),       SCMP_SYS(accept4),       SCMP_SYS(recvfrom),       SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),       SCMP_SYS(sendmsg),       SCMP_SYS(sendfile),       SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),   SCMP_SYS(setsockopt),    SCMP_SYS(getsockname),    SCMP_SYS(getpeername),
    SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),      SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),  SCMP_SYS(epoll_pwait2),  SCMP_SYS(poll),           SCMP_SYS(ppoll),
    SCMP_SYS(eventfd2),     SCMP_SYS(signalfd4),     SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(pipe2),
};

// Files that are served, and logs.
constexpr std::array files{
    SCMP_SYS(openat),      SCMP_SYS(openat2),    SCMP_SYS(open),       SCMP_SYS(close),
    SCMP_SYS(close_range), SCMP_SYS(read),       SCMP_SYS(readv),      SCMP_SYS(pread64),
    SCMP_SYS(write),       SCMP_SYS(writev),     SCMP_SYS(pwrite64),   SCMP_SYS(lseek),
    SCMP_SYS(fstat),       SCMP_SYS(stat),       SCMP_SYS(lstat),      SCMP_SYS(statx),
    SCMP_SYS(newfstatat),  SCMP_SYS(getdents64), SCMP_SYS(readlink),   SCMP_SYS(readlinkat),
    SCMP_SYS(access),      SCMP_SYS(faccessat),  SCMP_SYS(faccessat2), SCMP_SYS(fcntl),
    SCMP_SYS(dup),         SCMP_SYS(dup2),       SCMP_SYS(dup3),       SCMP_SYS(fadvise64),
    SCMP_SYS(readahead),   SCMP_SYS(getcwd),
};

// Memory, threads, time, signals, and what the C library asks about the process.
constexpr std::array process{
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
};

// A store of jobs: what SQLite does with its files, and the lock beside them.
constexpr std::array storage{
    SCMP_SYS(fsync),    SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(flock),     SCMP_SYS(fchmod),    SCMP_SYS(fchown),    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),  SCMP_SYS(rename),    SCMP_SYS(statfs),    SCMP_SYS(fstatfs),   SCMP_SYS(umask),
    SCMP_SYS(utimes),   SCMP_SYS(utimensat),
};

// What the run time of a sanitizer does besides.
#if REEVE_SANITIZED
constexpr std::array sanitizer{SCMP_SYS(mincore), SCMP_SYS(msync),          SCMP_SYS(rt_sigtimedwait),
                               SCMP_SYS(pipe),    SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler)};
#else
constexpr std::array<int, 0> sanitizer{};
#endif

bool allow(void* filter, std::span<const int> calls) {
    for (const int call : calls)
        if (::seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
    return true;
}

/// The C library asks name services by these where there are any, and does without.
bool deny_connections(void* filter) {
    return ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 0) == 0 &&
           ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(connect), 0) == 0;
}

/// Name servers are asked by datagrams.
bool allow_datagrams(void* filter) {
    for (const scmp_datum_t family : {scmp_datum_t{AF_INET}, scmp_datum_t{AF_INET6}}) {
        const scmp_arg_cmp datagrams[] = {
            {0, SCMP_CMP_EQ, family, 0},
            {1, SCMP_CMP_EQ, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0},
        };
        if (::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, datagrams) != 0)
            return false;
    }
    return true;
}

/// To upstreams: streams of the families that a peer may have. Nothing raw, nothing of the kernel's own.
bool allow_connections(void* filter) {
    for (const scmp_datum_t family : {scmp_datum_t{AF_INET}, scmp_datum_t{AF_INET6}, scmp_datum_t{AF_UNIX}}) {
        const scmp_arg_cmp stream[] = {
            {0, SCMP_CMP_EQ, family, 0},
            {1, SCMP_CMP_EQ, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0},
        };
        if (::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, stream) != 0) return false;
    }
    return ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0) == 0 &&
           ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(splice), 0) == 0;
}

/// libpq and the resolver of the C library; and whether a process is there.
bool allow_database(void* filter) {
    for (const scmp_datum_t family : {scmp_datum_t{AF_INET}, scmp_datum_t{AF_INET6}, scmp_datum_t{AF_UNIX}}) {
        const scmp_arg_cmp any{0, SCMP_CMP_EQ, family, 0};
        if (::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &any) != 0) return false;
    }
    // which addresses the machine has is asked of the kernel, and can be done without
    const scmp_arg_cmp netlink{0, SCMP_CMP_EQ, AF_NETLINK, 0}, nothing{1, SCMP_CMP_EQ, 0, 0};
    return ::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, &netlink) == 0 &&
           ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, &nothing) == 0 &&
           ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmmsg), 0) == 0 &&
           ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0) == 0;
}

/// Calls that are harmless with some arguments only.
bool allow_in_part(void* filter, bool connects) {
    const auto self = static_cast<scmp_datum_t>(::getpid());
    const scmp_datum_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    const auto add = [&](int call, unsigned argument, scmp_compare how, scmp_datum_t value) {
        // a masked one is compared where the mask has bits: here with the mask itself
        const scmp_arg_cmp compare{argument, how, value, how == SCMP_CMP_MASKED_EQ ? value : 0};
        return ::seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare) == 0;
    };
    return
        // Threads, but no processes. Of clone3 the flags cannot be seen: without it clone is used.
        add(SCMP_SYS(clone), 0, SCMP_CMP_MASKED_EQ, thread) &&
        ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
        // Signals to ourselves: to interrupt a thread, and to end as a crash should.
        add(SCMP_SYS(tgkill), 0, SCMP_CMP_EQ, self) &&
        // Limits may be read. The third argument is where new ones would stand.
        add(SCMP_SYS(prlimit64), 2, SCMP_CMP_EQ, 0) && add(SCMP_SYS(prctl), 0, SCMP_CMP_EQ, PR_SET_NAME) &&
        // How long its turns on a processor are, a thread may say of itself.
        add(SCMP_SYS(sched_getattr), 0, SCMP_CMP_EQ, 0) && add(SCMP_SYS(sched_setattr), 0, SCMP_CMP_EQ, 0) &&
        // Whether something is a terminal, and how much can be read.
        add(SCMP_SYS(ioctl), 1, SCMP_CMP_EQ, TCGETS) && add(SCMP_SYS(ioctl), 1, SCMP_CMP_EQ, FIONREAD) &&
        add(SCMP_SYS(ioctl), 1, SCMP_CMP_EQ, FIONBIO) &&
        (connects ? allow_connections(filter) : deny_connections(filter));
}

}  // namespace

ipc::Result<void> enter_sandbox(bool connects, bool asks_names, bool unlinks, bool stores,
                                bool asks_database) {
    const Filter filter(::seccomp_init(SCMP_ACT_TRAP));
    if (!filter) return ipc::failure("no memory for the sandbox");
    const bool built =
        allow(filter.get(), network) && allow(filter.get(), files) && allow(filter.get(), process) &&
        allow(filter.get(), sanitizer) && allow_in_part(filter.get(), connects) &&
        (!asks_names || allow_datagrams(filter.get())) &&
        (!unlinks || allow(filter.get(), std::array{SCMP_SYS(unlinkat)})) &&
        (!stores || allow(filter.get(), storage)) && (!asks_database || allow_database(filter.get()));
    if (!built) return ipc::failure("the sandbox cannot be built");
    if (const int failed = ::seccomp_load(filter.get()); failed != 0)
        return tl::make_unexpected(
            ipc::Error{"enter the sandbox", std::error_code(-failed, std::generic_category())});
    return {};
}

}  // namespace worker
