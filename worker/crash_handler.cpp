// worker/crash_handler.cpp: stores into shared memory are all that is safe to do in such a handler.
#include "worker/crash_handler.h"

#include <execinfo.h>
#include <signal.h>

#include <array>
#include <span>

#include "ipc/sanitized.h"

namespace worker {
namespace {

constexpr int frames_of_handler = 2;  ///< the handler itself and what the kernel returns through
constexpr std::size_t stack_bytes = 64 * 1024;

#if REEVE_SANITIZED
constexpr std::array fatal_signals{SIGABRT, SIGSYS};
#else
constexpr std::array fatal_signals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
#endif

// A handler can be told nothing, so what it needs is here. Set once, before any signal can come.
ipc::CrashNote* note_of_process = nullptr;
std::array<std::byte, stack_bytes> handler_stack;
thread_local int number_of_thread = 0;                                     // of the main thread: it is 0
thread_local const execution::ThreadPool::Note* note_of_thread = nullptr;  // of a pool's

void on_crash(int number, siginfo_t* info, void*) {
    std::array<void*, ipc::CrashNote::frames_max + frames_of_handler> stack{};
    const int found = ::backtrace(stack.data(), static_cast<int>(stack.size()));
    const auto skipped = static_cast<std::size_t>(found > frames_of_handler ? frames_of_handler : 0);
    const auto frames = std::span<void* const>(stack.data(), static_cast<std::size_t>(found));
    ipc::CrashNote::Signal signal{.number = number,
                                  .code = info->si_code,
                                  .address = 0,
                                  .system_call = -1,
                                  .executor = number_of_thread};
    if (number == SIGSYS)
        signal.system_call = info->si_syscall;
    else if (info->si_code > 0)  // the kernel's own: a fault, with an address
        signal.address = reinterpret_cast<std::uintptr_t>(info->si_addr);
    ipc::CrashNote::Task task{"", ""};
    if (const auto* note = note_of_thread)
        task = {note->pool, {note->about.data(), note->about_bytes.load(std::memory_order_relaxed)}};
    note_of_process->write(signal, frames.subspan(skipped), task);
    ::raise(number);  // the default action is back, and comes when we return
}

}  // namespace

void note_crashes(ipc::CrashNote& note) {
    note_of_process = &note;
    std::array<void*, 1> loaded{};
    ::backtrace(loaded.data(), 1);  // the first call loads a library, which a handler must not

    stack_t stack{};
    stack.ss_sp = handler_stack.data();
    stack.ss_size = handler_stack.size();
    ::sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_crash;
    action.sa_flags = static_cast<int>(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND);
    for (const int number : fatal_signals) ::sigaction(number, &action, nullptr);
}

NotedThread::NotedThread(std::optional<std::uint32_t> number)
    : stack_(std::make_unique<std::byte[]>(stack_bytes)) {
    number_of_thread = number ? static_cast<int>(*number) : -1;
    stack_t stack{};
    stack.ss_sp = stack_.get();
    stack.ss_size = stack_bytes;
    ::sigaltstack(&stack, &before_);
}

NotedThread::~NotedThread() { ::sigaltstack(&before_, nullptr); }

NotedPoolThread::NotedPoolThread(const execution::ThreadPool::Note& note) : noted_(std::nullopt) {
    note_of_thread = &note;
}

NotedPoolThread::~NotedPoolThread() { note_of_thread = nullptr; }

}  // namespace worker
