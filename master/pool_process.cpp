// master/pool_process.cpp: forked, put into its own group, and collected with all of that group.
#include "master/pool_process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace master {

PoolProcess::~PoolProcess() { signal_group(SIGKILL); }

ipc::Result<void> PoolProcess::spawn(Launch what, std::vector<int> keep) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return ipc::system_error("pipe of a pool");
    ipc::UniqueFd reading(ends[0]);
    const ipc::UniqueFd writing(ends[1]);
    if (::fcntl(reading.get(), F_SETFL, O_NONBLOCK) < 0) return ipc::system_error("pipe of a pool");
    what.output = writing.get();
    what.master = ::getpid();
    keep.push_back(what.output);
    keep.push_back(what.listener);
    auto child = Child::fork(std::move(keep), [&] { return launch(what); });
    if (!child) return tl::make_unexpected(std::move(child.error()));
    child_ = std::move(*child);
    pid_ = child_.pid();
    ::setpgid(pid_, pid_);  // it does so too; whoever is later finds it done
    last_words_.clear();
    output_ = std::make_unique<PoolOutput>(loop_, std::move(reading), [this](std::string_view line) {
        last_words_ = line;
        on_line_(line);
    });
    ended_ = ipc::Event::calling<&PoolProcess::on_exit>(this, loop_, child_.fd(), EV_READ);
    ended_.arm();
    return {};
}

void PoolProcess::signal_group(int number) const noexcept {
    if (running()) ::kill(-pid_, number);
}

void PoolProcess::on_exit(short) {
    // Not collected yet, so the number of the group cannot be another's.
    signal_group(SIGKILL);
    const auto ending = child_.reap();
    if (!ending) return ended_.arm();
    output_->drain();
    output_.reset();
    on_end_(*ending);
}

}  // namespace master
