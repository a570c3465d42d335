// master/signals.cpp: signalfd, read until empty.
#include "master/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

namespace master {

ipc::Result<ipc::UniqueFd> Signals::block(std::initializer_list<int> numbers) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : numbers) ::sigaddset(&set, number);
    if (::sigprocmask(SIG_BLOCK, &set, nullptr) < 0) return ipc::system_error("block signals");
    ipc::UniqueFd descriptor(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!descriptor) return ipc::system_error("signalfd");
    return descriptor;
}

Signals::Signals(event_base& loop, ipc::UniqueFd descriptor, std::function<void(int)> on_signal)
    : descriptor_(std::move(descriptor)),
      on_signal_(std::move(on_signal)),
      readable_(
          ipc::Event::calling<&Signals::on_readable>(this, loop, descriptor_.get(), EV_READ | EV_PERSIST)) {
    readable_.arm();
}

void Signals::on_readable(short) {
    signalfd_siginfo info{};
    while (::read(descriptor_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
        on_signal_(static_cast<int>(info.ssi_signo));
}

}  // namespace master
