// master/slot.cpp: channel and pidfd of one worker, as events.
#include "master/slot.h"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace master {
namespace {

/// Messages heard in one turn of the loop; a worker that floods us delays others no longer than that.
constexpr int messages_per_turn = 16;
/// How long a worker may live on after it has closed its channel.
constexpr std::chrono::milliseconds leave_time{1000};

}  // namespace

void SlotOwner::on_born(Slot&) {}
void SlotOwner::on_unborn(Slot&, const std::string&) {}

ipc::Result<void> Slot::spawn(std::vector<int> keep, const std::function<int(ipc::Channel)>& body) {
    auto ends = ipc::Channel::pair();
    if (!ends) return tl::make_unexpected(std::move(ends.error()));
    auto& theirs = ends->second;
    keep.push_back(theirs.fd());
    auto child = Child::fork(std::move(keep), [&] { return body(std::move(theirs)); });
    if (!child) return tl::make_unexpected(std::move(child.error()));

    listen(std::move(ends->first));
    attend(std::move(*child));
    return {};
}

void Slot::listen(ipc::Channel channel) {
    channel_ = std::move(channel);
    leaving_ = ipc::Event::timer<&Slot::on_silence>(this, loop_);
    readable_ = ipc::Event::calling<&Slot::on_channel>(this, loop_, channel_.fd(), EV_READ | EV_PERSIST);
    readable_.arm();
}

void Slot::attend(Child child) {
    child_ = std::move(child);
    pid_ = child_.pid();
    ended_ = ipc::Event::calling<&Slot::on_exit>(this, loop_, child_.fd(), EV_READ);
    ended_.arm();
}

// ---- forked by another process ------------------------------------------------------------------------

ipc::Result<ipc::Channel> Slot::expect() {
    auto ends = ipc::Channel::pair();
    if (!ends) return tl::make_unexpected(std::move(ends.error()));
    listen(std::move(ends->first));
    expects_ = true;
    return std::move(ends->second);
}

bool Slot::unheard() const noexcept {
    pollfd look{.fd = channel_.fd(), .events = POLLIN, .revents = 0};
    return expects_ && ::poll(&look, 1, 0) != 0;
}

/// From now on it is ours alone: whatever is left in the group of who forked it ends with that one.
void Slot::be_born(const ipc::Message& message) {
    const auto* born = std::get_if<ipc::Born>(&message);
    if (born == nullptr) return give_up("it says something else first");
    auto child = Child::adopt(static_cast<pid_t>(born->pid));
    if (!child) return give_up(child.error().text());
    expects_ = false;
    attend(std::move(*child));
    if (::setpgid(pid_, ::getpgrp()) != 0) return punish("it cannot be put into our process group");
    owner_.on_born(*this);
}

void Slot::give_up(const std::string& why) {
    readable_.disarm();
    expects_ = false;
    owner_.on_unborn(*this, why);
}

// ---- what it says ---------------------------------------------------------------------------------------

void Slot::tell(const ipc::Message& message, std::span<const int> descriptors) {
    if (!running()) return;
    const auto sent = channel_.send(message, descriptors);
    if (sent || sent.error().why.value() == EPIPE) return;  // on_exit follows, or on_silence
    punish(sent.error().text());
}

void Slot::punish(const std::string& why) {
    spdlog::error("{} breaks the protocol and is killed slot={} pid={} why={:?}", what_, index_, pid(), why);
    readable_.disarm();
    cause = ipc::RestartCause::protocol;
    signal(SIGKILL);
}

void Slot::on_channel(short) {
    for (int heard = 0; heard < messages_per_turn && readable_.armed(); ++heard)
        if (!hear_one()) return;
}

bool Slot::hear_one() {
    ipc::Received received;
    const auto got = channel_.receive(received);
    if (expects_) {
        if (got && *got == ipc::Got::nothing) return false;
        if (got && *got == ipc::Got::message)
            be_born(received.message);
        else
            give_up(got ? "who was to fork it is gone, or could not" : got.error().text());
        return running();
    }
    if (!got) {
        punish(got.error().text());
        return false;
    }
    switch (*got) {
        case ipc::Got::nothing: return false;
        case ipc::Got::message: owner_.on_message(*this, received.message); return true;
        case ipc::Got::closed:
            readable_.disarm();
            leaving_.arm(leave_time);
            return false;
    }
    return false;
}

void Slot::on_silence(short) {
    if (state != ipc::SlotState::draining) return punish("closed its channel but lives on");
    signal(SIGKILL);
}

void Slot::on_exit(short) {
    for (int heard = 0; heard < messages_per_turn && readable_.armed(); ++heard)
        if (!hear_one()) break;  // its last words
    const auto ending = child_.reap();
    if (!ending) return ended_.arm();
    readable_ = ipc::Event();
    leaving_.disarm();
    channel_ = ipc::Channel(ipc::UniqueFd());
    owner_.on_end(*this, *ending);
}

}  // namespace master
