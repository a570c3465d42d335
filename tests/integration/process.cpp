#include "tests/integration/process.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "tests/integration/check.h"

namespace integration {
namespace {

std::string all_of(int file) {
    std::string text;
    std::array<char, 16384> bytes;
    for (off_t at = 0;;) {
        const auto got = ::pread(file, bytes.data(), bytes.size(), at);
        if (got <= 0) return text;
        text.append(bytes.data(), static_cast<std::size_t>(got));
        at += got;
    }
}

ipc::UniqueFd memory_file() {
    ipc::UniqueFd file(::memfd_create("output", MFD_CLOEXEC));
    if (!file) fail("no memory file");
    return file;
}

/// The folders of processes or threads that are there.
std::vector<pid_t> numbers_in(const std::string& folder) {
    std::vector<pid_t> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir(folder.c_str()), &::closedir);
    if (!all) fail("no " + folder);
    while (const dirent* entry = ::readdir(all.get()))
        if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0)
            found.push_back(std::atoi(entry->d_name));
    return found;
}

struct Stat {
    char state = 'X';
    int parent = 0;
    pid_t group = 0;
};

/// What the kernel says in `stat`; of one that is gone: dead.
Stat stat_of(const std::string& folder) {
    const std::string line = contents(folder + "/stat");
    const auto name_end = line.rfind(')');  // the name before it may hold anything
    Stat stat;
    if (name_end == std::string::npos ||
        std::sscanf(line.c_str() + name_end + 1, " %c %d %d", &stat.state, &stat.parent, &stat.group) != 3)
        return {};
    return stat;
}

[[noreturn]] void become(std::vector<char*>& arguments, int output, int errors) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    ::execvp(arguments.front(), arguments.data());
    ::_exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& words, int output, int errors) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) fail("no process");
    if (pid_ == 0) become(arguments, output, errors);
    ::setpgid(pid_, pid_);  // both sides, so that it holds for either from here on
    pidfd_ = ipc::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd_) fail("no descriptor of a process");
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), status_(other.status_) {}

Process& Process::operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    std::swap(status_, other.status_);
    return *this;
}

Process::~Process() {
    if (pid_ < 0 || status_) return;
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Process::running() { return !reap(0); }

void Process::signal(int number) const {
    if (!status_) ::kill(pid_, number);
}

int Process::wait() {
    if (!reap(milliseconds_left(Clock::now()))) fail("process " + std::to_string(pid_) + " does not end");
    return *status_;
}

bool Process::reap(int milliseconds) {
    if (status_) return true;
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (::poll(&ended, 1, milliseconds) != 1) return false;
    int how = 0;
    if (::waitpid(pid_, &how, 0) != pid_) fail("a child is not ours");
    status_ = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    return true;
}

Ran run(const std::vector<std::string>& words) {
    const auto output = memory_file(), errors = memory_file();
    Process process(words, output.get(), errors.get());
    const int status = process.wait();
    return {status, all_of(output.get()), all_of(errors.get())};
}

std::string reeve() {
    const char* named = std::getenv("REEVE");
    if (named == nullptr) fail("REEVE does not name the program under test");
    return named;
}

bool sanitized() {
    const char* named = std::getenv("REEVE_SANITIZER");
    return named != nullptr && *named != '\0';
}

std::vector<pid_t> living(pid_t group) {
    std::vector<pid_t> found;
    for (const pid_t pid : numbers_in("/proc")) {
        const Stat stat = stat_of("/proc/" + std::to_string(pid));
        if (stat.group == group && stat.state != 'Z' && stat.state != 'X') found.push_back(pid);
    }
    return found;
}

std::vector<pid_t> threads_named(pid_t pid, const std::string& name) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/task";
    std::vector<pid_t> found;
    for (const pid_t thread : numbers_in(folder))
        if (contents(folder + "/" + std::to_string(thread) + "/comm").starts_with(name))
            found.push_back(thread);
    return found;
}

FrozenThread::FrozenThread(pid_t thread) : thread_(thread) {
    if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0 ||
        ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0 ||
        ::waitpid(thread, nullptr, __WALL) != thread)
        fail("thread " + std::to_string(thread) + " cannot be stopped");
}

FrozenThread::~FrozenThread() { ::ptrace(PTRACE_DETACH, thread_, nullptr, nullptr); }

void freeze(pid_t pid) {
    ::kill(pid, SIGSTOP);
    const std::string threads = "/proc/" + std::to_string(pid) + "/task";
    eventually("process " + std::to_string(pid) + " stands still", [&] {
        for (const pid_t thread : numbers_in(threads))
            if (stat_of(threads + "/" + std::to_string(thread)).state != 'T') return false;
        return true;
    });
}

}  // namespace integration
