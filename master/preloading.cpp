// master/preloading.cpp: one message after the other, each a process that this one never hears of again.
#include "master/preloading.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "master/child.h"

namespace master {
namespace {

namespace fs = std::filesystem;

/// Sorted.
std::vector<int> open_descriptors() {
    std::vector<int> all;
    {
        std::error_code failed;
        for (fs::directory_iterator one("/proc/self/fd", failed), end; !failed && one != end;
             one.increment(failed))
            all.push_back(std::atoi(one->path().filename().c_str()));
    }
    std::erase_if(all, [](int fd) { return ::fcntl(fd, F_GETFD) < 0; });  // that of the look itself
    std::sort(all.begin(), all.end());
    return all;
}

std::size_t number_of_threads() {
    std::error_code failed;
    const fs::directory_iterator all("/proc/self/task", failed);
    return failed ? 0 : static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// What this process was before it loaded anything.
struct Before {
    std::vector<int> descriptors = open_descriptors();
    std::size_t threads = number_of_threads();
};

/// That were opened since then, as by a module's `load`: it will want them in the workers, and nothing else
/// may be under their numbers there.
std::vector<int> opened_since(const Before& before) {
    const auto now = open_descriptors();
    std::vector<int> opened;
    std::set_difference(now.begin(), now.end(), before.descriptors.begin(), before.descriptors.end(),
                        std::back_inserter(opened));
    return opened;
}

class Forks {
 public:
    /// `keep`: descriptors of those it forks.
    Forks(const Preloading& what, std::vector<int> keep, ipc::Channel& channel, const WorkerMain& run)
        : what_(what), keep_(std::move(keep)), channel_(channel), run_(run) {}

    int serve() {
        for (;;) {
            pollfd waiting{.fd = channel_.fd(), .events = POLLIN, .revents = 0};
            if (::poll(&waiting, 1, -1) < 0 && errno != EINTR) return EXIT_FAILURE;
            ipc::Received received;
            const auto got = channel_.receive(received);
            if (!got || *got == ipc::Got::closed) return EXIT_SUCCESS;  // the master is gone
            if (*got == ipc::Got::nothing) continue;
            if (std::holds_alternative<ipc::Stop>(received.message)) return EXIT_SUCCESS;
            if (std::holds_alternative<ipc::Fork>(received.message) && received.descriptors.size() == 1)
                fork(ipc::Channel(std::move(received.descriptors.front())));
        }
    }

 private:
    /// Failed: our copy of the channel's end is the last one, so the master notices.
    void fork(ipc::Channel theirs) {
        auto keep = keep_;
        keep.push_back(theirs.fd());
        const auto forked = Child::fork_for_parent(std::move(keep), [&] { return live(std::move(theirs)); });
        if (!forked) (void)channel_.send(ipc::Failed{.why = forked.error().text()});
    }

    /// In the new process. Nobody is there any more who wants it: it must not stay.
    int live(ipc::Channel theirs) const {
        if (!theirs.send(ipc::Born{.pid = static_cast<std::uint32_t>(::getpid())})) return EXIT_FAILURE;
        return what_.seating(std::move(theirs), run_);
    }

    const Preloading& what_;
    const std::vector<int> keep_;
    ipc::Channel& channel_;
    const WorkerMain& run_;
};

/// So that a log file that is moved away is kept by nobody. Standard error stays.
void close_log(int error_log) {
    (void)ipc::open_log({.path = "stderr", .level = spdlog::level::off, .json = false}, "preloader");
    const ipc::UniqueFd closing(error_log > STDERR_FILENO ? error_log : -1);
}

}  // namespace

int preload(const Preloading& what, ipc::Channel channel) {
    const Before before;
    const auto done = what.load(what.config, [&](const WorkerMain& run) -> int {
        if (number_of_threads() > before.threads) {
            (void)channel.send(
                ipc::Failed{.why = "a module has begun a thread in its load, which would be in no worker"});
            return EXIT_FAILURE;
        }
        auto keep = opened_since(before);
        keep.insert(keep.end(), what.keep.begin(), what.keep.end());
        close_log(what.error_log);
        ::malloc_trim(0);  // what loading has used and given back is not worth sharing
        if (!channel.send(ipc::Ready{})) return EXIT_FAILURE;
        return Forks(what, std::move(keep), channel, run).serve();
    });
    if (done) return *done;
    (void)channel.send(ipc::Failed{.why = done.error().text()});
    return EXIT_FAILURE;
}

}  // namespace master
