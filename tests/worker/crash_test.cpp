// tests/worker/crash_test.cpp: processes that end badly, and what they leave behind.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "ipc/sanitized.h"
#include "master/autopsy.h"
#include "tests/conf/temporary_folder.h"
#include "worker/crash_handler.h"
#include "worker/limits.h"
#include "worker/sandbox.h"

namespace {

/// A note that a child writes and we read.
class SharedNote {
 public:
    SharedNote()
        : note_(new (::mmap(nullptr, sizeof(ipc::CrashNote), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) ipc::CrashNote) {}
    ~SharedNote() { ::munmap(note_, sizeof *note_); }
    SharedNote(const SharedNote&) = delete;
    SharedNote& operator=(const SharedNote&) = delete;
    [[nodiscard]] ipc::CrashNote& operator*() const { return *note_; }
    [[nodiscard]] ipc::CrashNote* operator->() const { return note_; }

 private:
    ipc::CrashNote* note_;
};

/// Runs it in a child; its wait status.
int status_of(const std::function<void()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_CORE, &none);
        body();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

int ended_by(const SharedNote& note, const std::function<void()>& crash,
             const worker::ObjectMap& objects = worker::ObjectMap::of_process({})) {
    const int status = status_of([&] {
        ::signal(SIGABRT, SIG_DFL);  // the test framework has its own
        ::signal(SIGSEGV, SIG_DFL);
        ::signal(SIGFPE, SIG_DFL);
        worker::note_crashes(*note, objects);
        crash();
    });
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int in_sandbox(const SharedNote& note, const std::function<void()>& body) {
    return ended_by(note, [&] {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!worker::enter_sandbox()) ::_exit(99);
        body();
    });
}

}  // namespace

TEST_CASE("a process that aborts leaves a note with its calls, and ends by the signal", "[crash]") {
    const SharedNote note;
    CHECK(ended_by(note, [] { std::abort(); }) == SIGABRT);
    CHECK(note->signal().number == SIGABRT);
    const auto text = master::autopsy(*note);
    CAPTURE(text);
    CHECK(text.find("backtrace=\"") != std::string::npos);
    CHECK(text.find("abort") != std::string::npos);
}

TEST_CASE("of threads that crash at once the note is one's alone", "[crash]") {
    for (int round = 0; round < 2000; ++round) {
        ipc::CrashNote note;
        std::atomic<int> ready{0};
        const auto crash = [&](int number, const char* pool) {
            const std::vector<void*> frames(static_cast<std::size_t>(number),
                                            reinterpret_cast<void*>(std::intptr_t{number}));
            ++ready;
            for (int spins = 0; ready.load() < 2; ++spins)
                if (spins > 10000) std::this_thread::yield();
            note.write({.number = number}, frames, {pool, pool, pool}, {pool, {}});
        };
        std::thread one(crash, 6, "one"), two(crash, 11, "two");
        one.join();
        two.join();
        const auto number = note.signal().number;
        REQUIRE((number == 6 || number == 11));
        const std::string whose = number == 6 ? "one" : "two";
        CHECK(note.pool() == whose);
        CHECK(note.module() == whose);
        std::array<void*, ipc::CrashNote::frames_max> frames{};
        REQUIRE(note.frames(frames) == static_cast<std::size_t>(number));
        CHECK(frames[0] == reinterpret_cast<void*>(std::intptr_t{number}));
    }
}

#if !REEVE_SANITIZED
TEST_CASE("a fault is noted with its address", "[crash]") {
    const SharedNote note;
    CHECK(ended_by(note, [] { *reinterpret_cast<volatile int*>(0x1234) = 1; }) == SIGSEGV);
    CHECK(note->signal().address == 0x1234);
    CHECK(master::autopsy(*note).find(" fault_address=0x1234 ") == 0);
}

TEST_CASE("an overflow of the stack is noted too", "[crash]") {
    const SharedNote note;
    static const std::function<int(int)> deeper = [](int depth) {
        volatile char room[4096];
        room[0] = static_cast<char>(depth);
        return deeper(depth + 1) + room[0];
    };
    CHECK(ended_by(note, [] { deeper(0); }) == SIGSEGV);
    CHECK(note->signal().number == SIGSEGV);
}
#endif

namespace {

/// It stands for a module.
[[gnu::noinline]] void crash_of_a_module() { std::abort(); }

}  // namespace

TEST_CASE("the module among the calls is named, and where in it they are", "[crash]") {
    const SharedNote note;
    worker::ObjectMap objects;
    const auto begin = reinterpret_cast<std::uintptr_t>(&crash_of_a_module);
    objects.add({.begin = begin, .end = begin + 64, .bias = begin, .file = {"a.so"}, .module = {"one"}});
    CHECK(ended_by(note, crash_of_a_module, objects) == SIGABRT);
    const auto text = master::autopsy(*note);
    CAPTURE(text);
    CHECK(text.find(" module=one backtrace=\"") == 0);
    CHECK(text.find(" < a.so+0x") != std::string::npos);
    CHECK(master::autopsy(*note, "one handler=hello").find(" module=one handler=hello backtrace=") == 0);
    CHECK(master::autopsy(*note, "two handler=hello").find(" module=one backtrace=") == 0);
}

TEST_CASE("without a crash there is nothing to say", "[crash]") {
    const SharedNote note;
    CHECK(ended_by(note, [] {}) == 0);
    CHECK(master::autopsy(*note).empty());
}

TEST_CASE("in the sandbox what serving does not need ends the process, by name", "[sandbox]") {
    const SharedNote note;
    const auto [name, call] = GENERATE(table<const char*, void (*)()>({
        {"execve",
         [] {
             char* none[] = {nullptr};
             ::execve("/bin/true", none, none);
         }},
        {"ptrace", [] { ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
        {"clone", [] { ::fork(); }},
        {"unlink", [] { ::unlink("/nowhere"); }},
        {"setuid", [] { (void)!::setuid(0); }},
        {"tgkill", [] { ::tgkill(1, 1, 0); }},
        {"prctl", [] { ::prctl(PR_SET_DUMPABLE, 0); }},
        {"chroot", [] { (void)!::chroot("/"); }},
    }));
    CAPTURE(name);
    CHECK(in_sandbox(note, call) == SIGSYS);
    CHECK(master::autopsy(*note).find(" denied_call=" + std::string(name)) == 0);
}

TEST_CASE("in the sandbox everything that serving needs works, and no socket can be made", "[sandbox]") {
    const SharedNote note;
    const int status = status_of([&] {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!worker::enter_sandbox()) ::_exit(1);
        std::thread([] {}).join();
        const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        std::array<char, 16> bytes{};
        if (::read(file, bytes.data(), bytes.size()) <= 0) ::_exit(2);
        if (::socket(AF_INET, SOCK_STREAM, 0) >= 0) ::_exit(3);
        const std::string large(1 << 22, 'x');
        if (large.size() != 1u << 22) ::_exit(4);
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("in the sandbox files are taken away where that was asked for", "[sandbox]") {
    const TemporaryFolder folder;
    const std::string file = folder.write("file", "");
    const int status = status_of([&] {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!worker::enter_sandbox(false, false, true)) ::_exit(1);
        if (::unlinkat(AT_FDCWD, file.c_str(), 0) != 0) ::_exit(2);
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("the limit of core files is set, and processors are given out in turn", "[limits]") {
    const int status = status_of([] {
        rlimit limit{};
        if (!worker::limit_core(std::nullopt) || !worker::limit_core(0)) ::_exit(1);
        if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0) ::_exit(2);
        cpu_set_t set;
        if (!worker::stay_on_processor(5) || ::sched_getaffinity(0, sizeof set, &set) != 0) ::_exit(3);
        if (CPU_COUNT(&set) != 1) ::_exit(4);
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
