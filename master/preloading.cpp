// master/preloading.cpp: one message after the other, each a process that this one never hears of again.
#include "master/preloading.h"

#include <malloc.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "master/child.h"

namespace master {
namespace {

class Forks {
 public:
    Forks(const Preloading& what, ipc::Channel& channel, const WorkerMain& run)
        : what_(what), channel_(channel), run_(run) {}

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
        auto keep = what_.keep;
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
    const auto done = what.load(what.config, [&](const WorkerMain& run) {
        close_log(what.error_log);
        ::malloc_trim(0);  // what loading has used and given back is not worth sharing
        if (!channel.send(ipc::Ready{})) return EXIT_FAILURE;
        return Forks(what, channel, run).serve();
    });
    if (done) return *done;
    (void)channel.send(ipc::Failed{.why = done.error().text()});
    return EXIT_FAILURE;
}

}  // namespace master
