// tests/integration/process.h: programs that tests start.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "ipc/unique_fd.h"

namespace integration {

/// A child in a process group of its own, killed with it when the test is over. Dies with the test program.
class Process {
 public:
    /// `words`: the program, found in PATH, and its arguments. `output` and `errors` stay the caller's.
    Process(const std::vector<std::string>& words, int output, int errors);
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    [[nodiscard]] bool running();
    void signal(int number) const;
    /// Its exit status, 128 and the signal's number when a signal ended it. Fails the test when it stays.
    int wait();

 private:
    bool reap(int milliseconds);

    pid_t pid_ = -1;
    ipc::UniqueFd pidfd_;
    std::optional<int> status_;
};

struct Ran {
    int status = 0;
    std::string output, errors;
};

/// Runs it to its end.
[[nodiscard]] Ran run(const std::vector<std::string>& words);

/// The program under test, from the environment's REEVE.
[[nodiscard]] std::string reeve();

/// Whether it was built with a sanitizer, which the environment's REEVE_SANITIZER then names: these tests are
/// not, and one build of them serves all.
[[nodiscard]] bool sanitized();

/// Those of the process group that live; the dead that nobody has reaped do not count.
[[nodiscard]] std::vector<pid_t> living(pid_t group);

/// Stops the process, and returns when each of its threads stands still.
void freeze(pid_t pid);

/// Threads of a process by their names, as `/proc` has them: "loop 1".
[[nodiscard]] std::vector<pid_t> threads_named(pid_t pid, const std::string& name);

/// One thread of another process stands still while this lives, and the others go on. To be used by one
/// thread.
class FrozenThread {
 public:
    explicit FrozenThread(pid_t thread);
    FrozenThread(const FrozenThread&) = delete;
    FrozenThread& operator=(const FrozenThread&) = delete;
    ~FrozenThread();

 private:
    pid_t thread_;
};

}  // namespace integration
