// master/pool_process.h: one process of a pool: its process group, its end, and what it says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "ipc/event.h"
#include "ipc/result.h"
#include "master/child.h"
#include "master/pool_launch.h"
#include "master/pool_output.h"

namespace master {

/// Nothing of it is left when it has ended: whatever else is in its process group is killed with it.
class PoolProcess {
 public:
    using OnEnd = std::function<void(const Ending&)>;
    using OnLine = std::function<void(std::string_view)>;

    /// Called from the loop, never from within a call to this. `on_end` may start the next one.
    PoolProcess(event_base& loop, OnEnd on_end, OnLine on_line)
        : loop_(loop), on_end_(std::move(on_end)), on_line_(std::move(on_line)) {}
    PoolProcess(const PoolProcess&) = delete;
    PoolProcess& operator=(const PoolProcess&) = delete;
    /// Kills the group.
    ~PoolProcess();

    /// Forks; `output` and `master` are filled in here. `keep`: what it needs beside its socket.
    [[nodiscard]] ipc::Result<void> spawn(Launch what, std::vector<int> keep);
    [[nodiscard]] bool running() const noexcept { return static_cast<bool>(child_); }
    /// Of the process that runs, or that ran last.
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal_group(int number) const noexcept;
    /// The last line that it wrote; until the next `spawn`.
    [[nodiscard]] const std::string& last_words() const noexcept { return last_words_; }

 private:
    void on_exit(short what);

    event_base& loop_;
    OnEnd on_end_;
    OnLine on_line_;
    Child child_;
    pid_t pid_ = -1;
    std::string last_words_;
    std::unique_ptr<PoolOutput> output_;
    ipc::Event ended_;
};

}  // namespace master
