// worker/crash_handler.h: a signal that ends the process is noted before it does.
#pragma once

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "ipc/crash_note.h"
#include "worker/execution/thread_pool.h"
#include "worker/object_map.h"

namespace worker {

/// From now on SEGV, BUS, FPE, ILL, ABRT and SYS leave a note with where they struck, and then end the
/// process as they would have: with a core, and with the signal as its status. On a stack of its own, so
/// that an overflow of the stack is noted too. Once a process; `note` outlives it.
/// In a build for a sanitizer the faults are left to that.
/// `objects`: by which calls are found to be those of a module.
void note_crashes(ipc::CrashNote& note, const ObjectMap& objects);
/// More is loaded by now; what that has set for these signals stays as it is.
void know_objects(const ObjectMap& objects);

/// The calling thread is this executor of the worker: a note says so when it is this one that crashes.
/// It gets a stack for the handler too.
class NotedThread {
 public:
    /// None: it is none of those that have numbers.
    explicit NotedThread(std::optional<std::uint32_t> number);
    NotedThread(const NotedThread&) = delete;
    NotedThread& operator=(const NotedThread&) = delete;
    /// In the same thread, which has the signal stack from before again.
    ~NotedThread();

 private:
    std::unique_ptr<std::byte[]> stack_;
    stack_t before_{};
};

/// The calling thread is of a pool: a note says of which, and what it was doing. For `ThreadPool::Lodging`.
class NotedPoolThread {
 public:
    explicit NotedPoolThread(const execution::ThreadPool::Note& note);
    NotedPoolThread(const NotedPoolThread&) = delete;
    NotedPoolThread& operator=(const NotedPoolThread&) = delete;
    ~NotedPoolThread();

 private:
    NotedThread noted_;
};

}  // namespace worker
