// master/supervisor_births.cpp: workers that a preloader forks: asked for, born, seated; or forked by the
// master after all.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "ipc/clock.h"
#include "ipc/seat_transfer.h"
#include "master/preloader.h"
#include "master/supervisor.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t birth_ms = 2000;   ///< from asking until it is there
constexpr std::size_t births_max = 16;     ///< asked for at once: they fit into the preloader's channel
constexpr int collected_max = 64;          ///< at a look
constexpr milliseconds seat_time{10'000};  ///< that a worker waits for its seat: the master is never so busy

}  // namespace

/// With a preloader that still loads it waits; with one that is gone, or does not do it, the master forks.
void Supervisor::begin(Slot& slot) {
    slot.waits_to_be_forked = false;
    auto* preloader = around_.preloader;
    if (preloader == nullptr || std::exchange(slot.without_preloader, false)) return fork(slot);
    if (!preloader->awaited() && !preloader->ready()) return fork(slot);
    std::size_t expected = 0;
    for_each([&](const Slot& each) { expected += each.expects() ? 1 : 0; });
    if (!preloader->ready() || expected >= births_max) {
        slot.waits_to_be_forked = true;
        slot.due_ms = 0;  // it waits for no longer than the preloader may take
        return;
    }
    const auto theirs = slot.expect();
    if (!theirs) return fork(slot);  // which has more to say of why not
    slot.due_ms = ipc::monotonic_ms() + birth_ms;
    preloader->fork(theirs->fd());
}

/// Whoever waits may have a preloader now, or none to wait for.
void Supervisor::on_preloader() {
    for_each([&](Slot& slot) {
        if (slot.waits_to_be_forked) begin(slot);
    });
    plan_look();
}

void Supervisor::on_born(Slot& slot) {
    const auto now = ipc::monotonic_ms();
    slot.due_ms = now + static_cast<std::uint64_t>(around_.plan.reeve.start_timeout.count());
    slot.started_ms = now;
    settle_in(slot, "preloader");
    if (slot.state != ipc::SlotState::starting)
        return slot.signal(SIGKILL);  // told to leave before it was there
    for (const auto& part : ipc::seat_parts(slot.rows, access_log_descriptors()))
        slot.tell(part.message, part.descriptors);
    for (const auto& sockets : around_.listeners.parts_of_seat(slot.index(), accepting_loops()))
        slot.tell(sockets.message, sockets.descriptors);
    const int error_log = around_.logs.error_descriptor();
    slot.tell(ipc::SeatWhole{.slot = slot.index(),
                             .started = started_ ? 1u : 0u,
                             .level = static_cast<std::uint32_t>(around_.logs.error_log().level)},
              std::span(&error_log, error_log > STDERR_FILENO ? 1 : 0));
    on_preloader();
}

/// Not from here: the slot is in the middle of something.
void Supervisor::on_unborn(Slot& slot, const std::string& why) {
    slot.due_ms = 0;
    if (slot.state == ipc::SlotState::starting) {
        spdlog::warn("worker is not forked by the preloader, the master does it slot={} why={:?}",
                     slot.index(), why);
        slot.without_preloader = slot.waits_to_be_forked = true;
    } else {
        slot.state = ipc::SlotState::empty;
    }
    look_.arm(milliseconds{0});
    on_change_();
}

/// Those who died before they said who they are would stay zombies for as long as the preloader lives. One
/// that is dead has said all that it ever will: where a channel has something to say, it may be that.
void Supervisor::collect_unborn() {
    if (around_.preloader == nullptr) return;
    for (int tries = 0; tries < collected_max; ++tries) {
        const pid_t lost = around_.preloader->dead_child();
        if (lost == 0) return;
        bool expected = false;
        for_each([&](const Slot& slot) {
            expected = expected || slot.unheard() || (slot.running() && slot.pid() == lost);
        });
        if (expected) return;  // the next look
        around_.preloader->collect(lost);
    }
}

/// In the process that the preloader has forked; see `run`.
int Supervisor::sit(ipc::Channel channel, const WorkerMain& run) {
    auto received = ipc::receive_seat(std::move(channel), around_.board, seat_time);
    if (!received) return EXIT_FAILURE;
    auto& seat = received->seat;
    around_.title.set("reeve: worker " + std::to_string(seat.slot));
    auto log = around_.logs.error_log();
    log.level = seat.log_level;
    if (!ipc::open_log(log, "worker/" + std::to_string(seat.slot), received->error_log.get()))
        return EXIT_FAILURE;
    received->error_log.reset();
    furnish(seat);
    return run(std::move(seat));
}

}  // namespace master
