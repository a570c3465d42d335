#include "master/lab/lab.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ipc/clock.h"
#include "ipc/unique_fd.h"
#include "master/lab/report.h"

namespace master::lab {
namespace {

constexpr int failed = 1;
constexpr std::uint64_t seed = 0x7265657665;  // every lab has the same arrivals
constexpr const char* own_binary = "/proc/self/exe";
constexpr int generator_nice = -10;  // where we may

void say(const std::string& text) {
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
}

std::uint32_t processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    const int count = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return static_cast<std::uint32_t>(count > 0 ? count : 1);
}

/// Whoever started us may have left word for a server; those of the trials are none of theirs.
void forget_service_manager() {
    for (const char* name :
         {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"})
        ::unsetenv(name);
}

/// INT and TERM, from now on as a descriptor, for all threads.
ipc::UniqueFd take_signals() {
    sigset_t leaving;
    ::sigemptyset(&leaving);
    ::sigaddset(&leaving, SIGINT);
    ::sigaddset(&leaving, SIGTERM);
    ::sigaddset(&leaving, SIGHUP);
    ::sigprocmask(SIG_BLOCK, &leaving, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return ipc::UniqueFd(::signalfd(-1, &leaving, SFD_CLOEXEC | SFD_NONBLOCK));
}

/// Waits for a signal for as long as `run` takes, on a thread of its own.
template <class Run>
auto beside_signals(int signals, std::atomic<bool>& stop, Run run) {
    std::atomic<bool> over{false};
    std::thread watch([&] {
        while (!over && !stop) {
            pollfd waiting{signals, POLLIN, 0};
            if (::poll(&waiting, 1, 20) > 0) stop = true;
        }
    });
    auto result = run();
    over = true;
    watch.join();
    return result;
}

/// The generator on a thread that goes before others.
ipc::Result<Outcome> generate(std::uint16_t port, const Load& load, const std::atomic<bool>& stop) {
    const auto arrivals = schedule(load, seed);
    ipc::Result<Outcome> outcome = ipc::failure("the generator has not run");
    std::thread thread([&] {
        ::prctl(PR_SET_NAME, "generator");
        (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), generator_nice);
        outcome = Generator(port, load, arrivals, stop).run();
    });
    thread.join();
    return outcome;
}

ipc::Result<TrialResult> make(const Trial& trial, const Folder& folder, const std::atomic<bool>& stop) {
    const auto server = Server::start(own_binary, folder, trial.setting, stop);
    if (!server) return tl::make_unexpected(server.error());
    auto outcome = generate(server->port(), trial.load, stop);
    if (!outcome) return tl::make_unexpected(outcome.error());
    return digest(trial, std::move(*outcome));
}

std::string time_text(double seconds) {
    const auto whole = static_cast<int>(std::lround(seconds));
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

/// All trials; fewer when it is stopped.
ipc::Result<Results> measure(const std::vector<Trial>& all, const std::atomic<bool>& stop) {
    const auto folder = Folder::make();
    if (!folder) return tl::make_unexpected(folder.error());
    Results results;
    double done = 0, whole = 0;
    for (const Trial& trial : all) whole += trial.load.seconds + trial_overhead_seconds;
    const auto begun = ipc::monotonic_ms();
    for (std::size_t i = 0; i < all.size() && !stop; ++i) {
        const Trial& trial = all[i];
        const double passed = static_cast<double>(ipc::monotonic_ms() - begun) / 1000;
        const double expected = i == 0 ? whole : passed * whole / done;
        say(fmt::format("{:3}/{} {} of about {}  {:<50}", i + 1, all.size(), time_text(passed),
                        time_text(expected), trial.title));
        auto result = make(trial, *folder, stop);
        if (stop) break;
        if (!result) {
            say("\n");
            return tl::make_unexpected(ipc::Error{trial.title + ": " + result.error().text(), {}});
        }
        const auto sum = result->all();
        say(fmt::format("50 % {:8.2f} ms  99 % {:8.1f} ms\n", sum.ms(0.5), sum.ms(0.99)));
        results.add(std::move(*result));
        done += trial.load.seconds + trial_overhead_seconds;
    }
    return results;
}

bool write_file(const std::string& path, const std::string& text) {
    if ((std::ofstream(path) << text).flush()) return true;
    say(fmt::format("reeve: cannot write {}\n", path));
    return false;
}

/// Now, and not after two minutes.
bool can_write(const std::string& path) {
    if (path.empty() || std::ofstream(path, std::ios::app)) return true;
    say(fmt::format("reeve: cannot write {}\n", path));
    return false;
}

}  // namespace

int run(const Asked& asked) {
    std::vector<std::string> made;  // by us, and empty so far
    for (const std::string& path : {asked.out, asked.json}) {
        const bool is_new = !path.empty() && ::access(path.c_str(), F_OK) != 0;
        if (!can_write(path)) return failed;
        if (is_new) made.push_back(path);
    }
    const auto forget = [&] {
        for (const std::string& path : made) (void)::unlink(path.c_str());
        return failed;
    };
    forget_service_manager();
    const ipc::UniqueFd signals = take_signals();
    Machine machine = this_machine();
    machine.cpus = processors();
    std::atomic<bool> stop{false};
    const auto begun = ipc::monotonic_ms();
    auto results = beside_signals(signals.get(), stop, [&] {
        return measure(trials({.seconds = asked.seconds, .quick = asked.quick, .cpus = machine.cpus}), stop);
    });
    if (stop) {
        say("\nreeve: stopped, nothing is written\n");
        return forget();
    }
    if (!results) {
        say("reeve: " + results.error().text() + "\n");
        return forget();
    }
    const double took = static_cast<double>(ipc::monotonic_ms() - begun) / 1000;
    const auto found = statements(*results, machine.cpus);
    if (!write_file(asked.out, report(machine, *results, found, took))) return failed;
    if (!asked.json.empty() && !write_file(asked.json, report_json(machine, *results, found, took)))
        return failed;
    for (const Statement& statement : found)
        fmt::print("{}: {}\n  {}\n", statement.title, text(statement.verdict), statement.sentence);
    fmt::print("written to {}\n", asked.out);
    return 0;
}

}  // namespace master::lab
