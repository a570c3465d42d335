// master/daemon.cpp: a pipe from the daemon to its parent: one byte for "serves", or a text that says why
// not.
#include "master/daemon.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace master {
namespace {

DaemonParent wait_for(int pipe) {
    std::string report;
    std::array<char, 512> bytes{};
    for (;;) {
        const auto size = ::read(pipe, bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        report.append(bytes.data(), static_cast<std::size_t>(size));
    }
    if (!report.empty() && report[0] == serves_report) return {.exit_status = 0};
    if (report.empty()) report = "the daemon died before it was ready";
    std::fprintf(stderr, "reeve: %s\n", report.c_str());
    return {.exit_status = 1};
}

ipc::Result<void> leave_terminal() {
    if (::setsid() < 0) return ipc::system_error("setsid");
    if (::chdir("/") < 0) return ipc::system_error("chdir /");
    ::umask(022);
    const ipc::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return ipc::system_error("open /dev/null");
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::dup2(null.get(), standard) < 0) return ipc::system_error("redirect to /dev/null");
    return {};
}

}  // namespace

void StartReport::succeeded(const std::string& note) {
    if (std::exchange(done_, true) || !pipe_) return;
    // A parent that has been killed meanwhile is no reason not to serve.
    const auto text = std::string(1, serves_report) + note;
    [[maybe_unused]] const auto written = ::write(pipe_.get(), text.data(), text.size());
    pipe_.reset();
}

void StartReport::failed(const std::string& why) {
    if (std::exchange(done_, true)) return;
    if (!pipe_) {
        std::fprintf(stderr, "reeve: %s\n", why.c_str());
        return;
    }
    [[maybe_unused]] const auto written = ::write(pipe_.get(), why.data(), why.size());
    // It ends with us, when all else is gone: whoever waits for that may start anew, and finds nothing of
    // ours.
}

ipc::Result<void> fill_standard_descriptors() {
    for (;;) {
        ipc::UniqueFd null(::open("/dev/null", O_RDWR));  // the lowest number that is free
        if (!null) return ipc::system_error("open /dev/null");
        if (null.get() > STDERR_FILENO) return {};
        [[maybe_unused]] const int kept = null.release();
    }
}

ipc::Result<std::variant<StartReport, DaemonParent>> daemonize() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return ipc::system_error("pipe");
    ipc::UniqueFd reading(ends[0]);
    ipc::UniqueFd writing(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return ipc::system_error("fork");
    if (child > 0) {
        writing.reset();
        return wait_for(reading.get());
    }
    reading.reset();
    StartReport report(std::move(writing));
    if (const auto left = leave_terminal(); !left) {
        report.failed(left.error().text());
        return tl::make_unexpected(left.error());
    }
    return report;
}

}  // namespace master
