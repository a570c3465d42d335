// tests/master/child_test.cpp: what a forked child keeps, and how its end is told.
#include "master/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>

#include "master/daemon.h"
#include "master/limits.h"
#include "master/signals.h"
#include "master/title.h"
#include "tests/master/sockets.h"

namespace {

master::Ending ending_of(std::vector<int> keep, const std::function<int()>& body, int signal = 0) {
    auto child = master::Child::fork(std::move(keep), body);
    REQUIRE(child);
    if (signal != 0) child->signal(signal);
    pollfd waiting{.fd = child->fd(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&waiting, 1, 10'000) == 1);
    const auto ending = child->reap();
    REQUIRE(ending);
    CHECK_FALSE(*child);
    return *ending;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("a child's exit status and signal are told apart", "[master]") {
    CHECK(ending_of({}, [] { return 3; }).text() == "exit status 3");
    CHECK(ending_of(
              {}, [] { return ::pause(); }, SIGKILL)
              .text() == "signal SIGKILL");
    CHECK(master::Ending{.signal = SIGSEGV, .status = 0, .core = true}.text() ==
          "signal SIGSEGV, core written");
}

TEST_CASE("a child keeps the standard descriptors and those asked for, nothing else", "[master]") {
    const ipc::UniqueFd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const ipc::UniqueFd other(::open("/dev/null", O_RDONLY));
    const ipc::UniqueFd far(::fcntl(kept.get(), F_DUPFD_CLOEXEC, 300));
    const auto body = [&] {
        const bool right = is_open(0) && is_open(1) && is_open(2) && is_open(kept.get()) &&
                           is_open(far.get()) && !is_open(other.get()) && !is_open(far.get() + 1);
        return right ? 0 : 1;
    };
    CHECK(ending_of({far.get(), -1, kept.get(), kept.get(), 1}, body).status == 0);
    CHECK(ending_of({}, [&] { return is_open(kept.get()) ? 1 : 0; }).status == 0);
}

TEST_CASE("a child has no signal blocked or handled", "[master]") {
    sigset_t before;
    ::sigprocmask(SIG_SETMASK, nullptr, &before);
    REQUIRE(master::Signals::block({SIGTERM, SIGUSR1}));
    const auto old = ::signal(SIGUSR2, [](int) {});
    const auto ending = ending_of({}, [] {
        sigset_t blocked;
        ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
        struct sigaction action {};
        ::sigaction(SIGUSR2, nullptr, &action);
        return sigismember(&blocked, SIGTERM) == 0 && action.sa_handler == SIG_DFL ? 0 : 1;
    });
    ::signal(SIGUSR2, old);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    CHECK(ending.text() == "exit status 0");
}

TEST_CASE("a child that still runs is not reaped", "[master]") {
    auto child = master::Child::fork({}, [] { return ::pause(); });
    REQUIRE(child);
    CHECK_FALSE(child->reap());
    child->signal(SIGKILL);
    CHECK(test::eventually([&] { return child->reap().has_value(); }));
}

TEST_CASE("a child that somebody else has collected has ended, too", "[master]") {
    auto child = master::Child::fork({}, [] { return 0; });
    REQUIRE(child);
    const pid_t pid = child->pid();
    REQUIRE(::waitpid(pid, nullptr, 0) == pid);
    const auto ending = child->reap();
    REQUIRE(ending);
    CHECK(ending->text() == "signal SIGKILL");
    CHECK_FALSE(*child);
}

TEST_CASE("the title takes the place of the arguments and never more", "[master]") {
    const auto body = [] {
        static char memory[] = "prog\0argument\0beyond";
        char* argv[] = {memory, memory + 5, nullptr};
        master::ProcessTitle title(2, argv);
        title.set("reeve: worker 12, a text that does not fit");
        std::ifstream comm("/proc/self/comm");
        std::string name;
        std::getline(comm, name);
        const bool right = std::string_view(memory) == "reeve: worker" &&
                           std::string_view(memory + 14) == "beyond" && name == "reeve:worker12,";
        return right && ::getenv("PATH") != nullptr ? 0 : 1;
    };
    CHECK(ending_of({}, body).status == 0);
}

TEST_CASE("the parent of a daemon leaves with the outcome of the start", "[master]") {
    const auto daemon = [](auto&& report_it) {
        return [report_it] {
            auto side = master::daemonize();
            if (!side) return 9;
            if (const auto* parent = std::get_if<master::DaemonParent>(&*side)) return parent->exit_status;
            report_it(std::get<master::StartReport>(*side));
            return 0;
        };
    };
    CHECK(ending_of({}, daemon([](master::StartReport& report) { report.succeeded(); })).status == 0);
    CHECK(ending_of({}, daemon([](master::StartReport& report) { report.failed("no port"); })).status == 1);
    CHECK(ending_of({}, daemon([](master::StartReport&) {})).status == 1);  // died without a word
}

TEST_CASE("a process has at least one CPU, and its limit of open files can be set", "[master]") {
    CHECK(master::usable_cpus() >= 1);
    CHECK(ending_of({}, [] {
              const auto low = master::raise_open_files(64);
              const auto high = master::raise_open_files(0);
              return low && high && *low == 64 && *high >= 64 ? 0 : 1;
          }).status == 0);
}
