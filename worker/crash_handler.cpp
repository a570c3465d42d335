// worker/crash_handler.cpp: stores into shared memory are all that is safe to do in such a handler.
#include "worker/crash_handler.h"

#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <span>
#include <string_view>

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
pid_t owner_of_note = 0;  // a child that code of a module forks has the handler too, but not the note
ObjectMap objects_of_process;
std::array<std::byte, stack_bytes> handler_stack;
thread_local int number_of_thread = -1;                                    // of others' threads: none of ours
thread_local const execution::ThreadPool::Note* note_of_thread = nullptr;  // of a pool's

/// Where the calls lie, from the innermost on.
class Whereabouts {
 public:
    explicit Whereabouts(std::span<void* const> frames) noexcept {
        for (void* const frame : frames)
            if (const auto* object = objects_of_process.find(reinterpret_cast<std::uintptr_t>(frame)))
                add(*object);
    }
    [[nodiscard]] ipc::CrashNote::Place place() const noexcept {
        return {module_, {objects_.data(), count_}};
    }

 private:
    void add(const ObjectMap::Object& object) noexcept {
        if (module_.empty()) module_ = object.module_name();
        for (std::size_t index = 0; index < count_; ++index)
            if (objects_[index].begin == object.begin) return;
        if (count_ < objects_.size())
            objects_[count_++] = {
                .file = object.file_name(), .begin = object.begin, .end = object.end, .bias = object.bias};
    }

    std::string_view module_ = "";
    std::array<ipc::CrashNote::Object, ipc::CrashNote::objects_max> objects_{};
    std::size_t count_ = 0;
};

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
    ipc::CrashNote::Task task{"", "", ""};
    if (const auto* note = note_of_thread) task = {note->pool, note->about.get(), note->module.get()};
    const auto calls = frames.subspan(skipped);
    if (::getpid() == owner_of_note) note_of_process->write(signal, calls, task, Whereabouts(calls).place());
    ::raise(number);  // the default action is back, and comes when we return
}

}  // namespace

void note_crashes(ipc::CrashNote& note, const ObjectMap& objects) {
    note_of_process = &note;
    owner_of_note = ::getpid();
    number_of_thread = 0;
    objects_of_process = objects;
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

void know_objects(const ObjectMap& objects) { objects_of_process = objects; }

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
