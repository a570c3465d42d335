// master/slot.cpp: channel and pidfd of one worker, as events.
#include "master/slot.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace master {
namespace {

/// Messages heard in one turn of the loop; a worker that floods us delays others no longer than that.
constexpr int messages_per_turn = 16;
/// How long a worker may live on after it has closed its channel.
constexpr std::chrono::milliseconds leave_time{1000};

}  // namespace

ipc::Result<void> Slot::spawn(std::vector<int> keep, const std::function<int(ipc::Channel)>& body) {
    auto ends = ipc::Channel::pair();
    if (!ends) return tl::make_unexpected(std::move(ends.error()));
    auto& theirs = ends->second;
    keep.push_back(theirs.fd());
    auto child = Child::fork(std::move(keep), [&] { return body(std::move(theirs)); });
    if (!child) return tl::make_unexpected(std::move(child.error()));

    child_ = std::move(*child);
    pid_ = child_.pid();
    channel_ = std::move(ends->first);
    leaving_ = ipc::Event::timer<&Slot::on_silence>(this, loop_);
    readable_ = ipc::Event::calling<&Slot::on_channel>(this, loop_, channel_.fd(), EV_READ | EV_PERSIST);
    readable_.arm();
    ended_ = ipc::Event::calling<&Slot::on_exit>(this, loop_, child_.fd(), EV_READ);
    ended_.arm();
    return {};
}

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
