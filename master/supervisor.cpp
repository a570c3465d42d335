// master/supervisor.cpp: one timer looks after all slots; each change settles who gets connections.
#include "master/supervisor.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "ipc/clock.h"

namespace master {
namespace {

using ipc::SlotState;
using std::chrono::milliseconds;

/// A worker that dies this often before its first READY ends the first start.
constexpr std::uint32_t failed_starts_max = 3;
constexpr std::uint64_t abort_time_ms = 1000;  ///< from ABRT to KILL
constexpr std::uint64_t slow_start_ms =
    1000;  ///< after this a sibling takes what waits for a starting worker

std::uint64_t count_ms(milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

}  // namespace

Supervisor::Supervisor(Surroundings around, std::uint32_t workers, std::function<void()> on_change)
    : around_(std::move(around)),
      on_change_(std::move(on_change)),
      watchdog_(around_.watchdog),
      look_(ipc::Event::timer<&Supervisor::on_look>(this, around_.loop)) {
    for (std::uint32_t index = 0; index < workers; ++index)
        slots_.push_back(std::make_unique<Slot>(*this, around_.loop, index));
}

void Supervisor::start() {
    for (auto& slot : slots_) spawn(*slot);
    plan_look();
    if (start_failure_) on_change_();
}

void Supervisor::unready() {
    if (mode_ == Mode::running) mode_ = Mode::unready;
    for (auto& slot : slots_) slot->tell(ipc::Unready{});
}

void Supervisor::drain(milliseconds limit) {
    const auto limit_ms = std::min<std::uint64_t>(count_ms(limit), std::numeric_limits<std::uint32_t>::max());
    leave(ipc::Drain{.limit_ms = static_cast<std::uint32_t>(limit_ms)});
}

void Supervisor::stop() { leave(ipc::Stop{}); }

void Supervisor::leave(const ipc::Message& message) {
    mode_ = Mode::leaving;
    for (auto& slot : slots_) {
        slot->state = slot->running() ? SlotState::draining : SlotState::empty;
        slot->due_ms = 0;
        slot->tell(message);
    }
}

void Supervisor::signal(int number) {
    for (auto& slot : slots_) slot->signal(number);
}

std::uint32_t Supervisor::reopen() {
    const ipc::Reopen request{.request = ++reopens_};
    const auto descriptors = around_.logs.descriptors();
    for (auto& slot : slots_) {
        if (!slot->running()) continue;
        slot->reopen_asked = request.request;
        slot->tell(request, descriptors);
    }
    return request.request;
}

std::uint32_t Supervisor::running() const noexcept {
    return static_cast<std::uint32_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) { return slot->running(); }));
}

std::vector<std::uint32_t> Supervisor::unconfirmed(std::uint32_t request) const {
    std::vector<std::uint32_t> waiting;
    for (const auto& slot : slots_)
        if (slot->running() && slot->reopen_asked >= request && slot->reopen_done < request)
            waiting.push_back(slot->index());
    return waiting;
}

// ---- birth ----------------------------------------------------------------------------------------

void Supervisor::spawn(Slot& slot) {
    const auto now = ipc::monotonic_ms();
    slot.state = SlotState::starting;
    slot.started_ms = now;
    slot.ready_ms = 0;
    slot.due_ms = now + count_ms(around_.start_timeout);
    slot.reopen_asked = slot.reopen_done = 0;
    const auto spawned = slot.spawn(kept_descriptors(slot),
                                    [&](ipc::Channel channel) { return serve(slot, std::move(channel)); });
    if (spawned) {
        spdlog::info("worker started slot={} generation={} pid={}", slot.index(), around_.generation,
                     slot.pid());
        return;
    }
    spdlog::error("worker cannot be started slot={} why={:?}", slot.index(), spawned.error().text());
    if (!started_) start_failure_ = spawned.error().text();
    slot.state = SlotState::backing_off;  // the delay grows: a system without processes needs rest, not forks
    const auto delay = std::max(slot.backoff.died(std::nullopt), Backoff::first_delay);
    slot.due_ms = now + count_ms(delay);
}

std::vector<int> Supervisor::kept_descriptors(const Slot& slot) const {
    std::vector<int> keep{ipc::log_descriptor()};
    for (const auto& listener : around_.listeners.all()) keep.push_back(listener.socket_of(slot.index()));
    for (const auto& file : around_.logs.access_logs()) keep.push_back(file.get());
    return keep;
}

/// The child's whole life. What it inherited is the parent's: it is used up here, and never destroyed.
int Supervisor::serve(Slot& slot, ipc::Channel channel) {
    const auto role = "worker/" + std::to_string(slot.index());
    around_.title.set("reeve: worker " + std::to_string(slot.index()));
    if (!ipc::open_log(around_.logs.error_log(), role, ipc::log_descriptor())) return 1;

    ipc::Seat seat;
    seat.slot = slot.index();
    seat.generation = around_.generation;
    seat.workers = static_cast<std::uint32_t>(slots_.size());
    seat.master_pid = ::getppid();
    seat.started_ms = around_.started_ms;
    seat.listeners = around_.listeners.for_seat(slot.index());
    for (const auto& file : around_.logs.access_logs()) seat.access_logs.emplace_back(file.get());
    seat.channel = std::move(channel);
    seat.cell = &around_.board.row(slot.index());
    seat.scoreboard = &around_.board;
    return around_.run(std::move(seat));
}

// ---- what workers say -----------------------------------------------------------------------------

void Supervisor::on_message(Slot& slot, const ipc::Message& message) {
    if (const auto* ready = std::get_if<ipc::Ready>(&message)) return on_ready(slot, *ready);
    if (const auto* failed = std::get_if<ipc::Failed>(&message)) return on_failed(slot, failed->why);
    if (const auto* reopened = std::get_if<ipc::Reopened>(&message); reopened != nullptr &&
                                                                     reopened->request > slot.reopen_done &&
                                                                     reopened->request <= slot.reopen_asked) {
        slot.reopen_done = reopened->request;
        return on_change_();
    }
    slot.punish("a message that nobody asked for");
}

void Supervisor::on_ready(Slot& slot, const ipc::Ready& ready) {
    if (slot.ready_ms != 0 || ready.slot != slot.index())
        return slot.punish("READY twice, or for another slot");
    slot.ready_ms = ipc::monotonic_ms();
    slot.failed_starts = 0;
    if (mode_ == Mode::leaving) return;  // told to leave before it was ready; it will
    slot.state = SlotState::ready;
    slot.due_ms = 0;

    if (const auto listening = around_.listeners.listen(slot.index()); !listening) {
        spdlog::error("cannot listen slot={} why={:?}", slot.index(), listening.error().text());
        if (!started_) start_failure_ = listening.error().text();
    }
    slot.tell(ipc::Serve{});
    if (mode_ == Mode::unready) slot.tell(ipc::Unready{});
    spdlog::info("worker ready slot={} generation={} pid={}", slot.index(), around_.generation, slot.pid());
    settle();

    started_ = started_ || std::all_of(slots_.begin(), slots_.end(),
                                       [](const auto& each) { return each->state == SlotState::ready; });
    on_change_();
}

void Supervisor::on_failed(Slot& slot, const std::string& why) {
    if (slot.ready_ms != 0) return slot.punish("FAILED after READY");
    spdlog::error("worker cannot serve slot={} pid={} why={:?}", slot.index(), slot.pid(), why);
    if (started_) return;
    start_failure_ = "worker " + std::to_string(slot.index()) + ": " + why;
    on_change_();
}

// ---- death ----------------------------------------------------------------------------------------

void Supervisor::on_end(Slot& slot, const Ending& ending) {
    report_death(slot, ending);
    auto& cell = around_.board.row(slot.index()).loop;
    cell.connections.set(0);
    cell.in_flight.end();
    slot.due_ms = 0;
    if (mode_ == Mode::leaving)
        slot.state = SlotState::empty;
    else
        replace(slot);
    settle();
    on_change_();
}

void Supervisor::report_death(const Slot& slot, const Ending& ending) {
    const auto age_ms = ipc::monotonic_ms() - slot.started_ms;
    const auto request = around_.board.row(slot.index()).loop.in_flight.text();
    const bool asked = mode_ == Mode::leaving;
    spdlog::log(asked && ending.signal == 0 ? spdlog::level::info : spdlog::level::err,
                "worker {} slot={} generation={} pid={} ending={:?} age_ms={} request={:?}",
                asked ? "left" : "died", slot.index(), around_.generation, slot.pid(), ending.text(), age_ms,
                request);
}

void Supervisor::replace(Slot& slot) {
    ++slot.restarts;
    const auto now = ipc::monotonic_ms();
    std::optional<milliseconds> served;
    if (slot.ready_ms != 0)
        served = milliseconds(now - slot.ready_ms);
    else if (++slot.failed_starts >= failed_starts_max && !started_ && !start_failure_)
        start_failure_ = "worker " + std::to_string(slot.index()) + " died " +
                         std::to_string(failed_starts_max) + " times before it was ready";
    if (start_failure_ && !started_) {
        slot.state = SlotState::empty;
        return;
    }
    const auto delay = slot.backoff.died(served);
    if (delay.count() == 0) return spawn(slot);
    slot.state = SlotState::backing_off;
    slot.due_ms = now + count_ms(delay);
    spdlog::warn("worker keeps dying, will retry slot={} delay_ms={}", slot.index(), delay.count());
    plan_look();
}

// ---- looking after the living ---------------------------------------------------------------------

void Supervisor::plan_look() {
    const auto now = ipc::monotonic_ms();
    auto next = now + Watchdog::look_ms;
    for (const auto& slot : slots_)
        if (slot->due_ms != 0) next = std::min(next, std::max(slot->due_ms, now));
    look_.arm(milliseconds(next - now));
}

void Supervisor::on_look(short) {
    const auto now = ipc::monotonic_ms();
    watchdog_.look(now);
    if (mode_ != Mode::leaving) {
        for (auto& slot : slots_) look_after(*slot, now);
        settle();
    }
    plan_look();
}

void Supervisor::look_after(Slot& slot, std::uint64_t now) {
    const bool due = slot.due_ms != 0 && now >= slot.due_ms;
    switch (slot.state) {
        case SlotState::starting:
            if (!due) return;
            spdlog::error("worker not ready in time and is killed slot={} pid={}", slot.index(), slot.pid());
            slot.due_ms = 0;
            return slot.signal(SIGKILL);
        case SlotState::backing_off:
            if (due) spawn(slot);
            return;
        case SlotState::stuck:
            if (!due) return check_pulse(slot, now);
            slot.due_ms = 0;
            return slot.signal(SIGKILL);
        case SlotState::ready: return check_pulse(slot, now);
        case SlotState::draining:
        case SlotState::empty: return;
    }
}

void Supervisor::check_pulse(Slot& slot, std::uint64_t now) {
    if (slot.state == SlotState::stuck && slot.due_ms != 0) return;  // ABRT is on its way
    const auto& loop = around_.board.row(slot.index()).loop;
    const auto since = std::max(slot.ready_ms, loop.heartbeat_ms.get());
    switch (watchdog_.judge(since, now)) {
        case Pulse::alive:
            if (slot.state == SlotState::stuck)
                spdlog::warn("worker moves again slot={} pid={}", slot.index(), slot.pid());
            slot.state = SlotState::ready;
            return;
        case Pulse::silent:
            if (slot.state == SlotState::ready)
                spdlog::warn("worker is stuck slot={} pid={} silent_ms={} request={:?}", slot.index(),
                             slot.pid(), now - since, loop.in_flight.text());
            slot.state = SlotState::stuck;
            return;
        case Pulse::dead:
            spdlog::error("worker is stuck and is aborted slot={} pid={} silent_ms={} request={:?}",
                          slot.index(), slot.pid(), now - since, loop.in_flight.text());
            slot.state = SlotState::stuck;
            slot.due_ms = now + abort_time_ms;
            return slot.signal(SIGABRT);
    }
}

// ---- who gets connections -------------------------------------------------------------------------

/// Steers new connections to ready slots, and finds a sibling for what waits in the queues of others.
void Supervisor::settle() {
    if (mode_ == Mode::leaving) return;
    std::vector<bool> live;
    for (const auto& slot : slots_) live.push_back(slot->state == SlotState::ready);
    if (const auto steered = around_.listeners.steer(live); !steered)
        spdlog::error("cannot steer connections why={:?}", steered.error().text());
    const auto now = ipc::monotonic_ms();
    for (auto& slot : slots_) settle_queue(*slot, now);
}

bool Supervisor::needs_adopter(const Slot& slot, std::uint64_t now) const {
    switch (slot.state) {
        case SlotState::stuck:
        case SlotState::backing_off: return true;
        case SlotState::starting: return now - slot.started_ms >= slow_start_ms;
        case SlotState::ready:
        case SlotState::draining:
        case SlotState::empty: return false;
    }
    return false;
}

void Supervisor::settle_queue(Slot& slot, std::uint64_t now) {
    const bool adopted = slot.adopter && slots_[*slot.adopter]->state == SlotState::ready;
    if (needs_adopter(slot, now) ? adopted : !slot.adopter) return;
    if (slot.adopter) {
        if (slot.state == SlotState::starting && adopted) return;  // until its own worker is READY
        slots_[*slot.adopter]->tell(ipc::Release{.slot = slot.index()});
        slot.adopter.reset();
    }
    if (!needs_adopter(slot, now)) return;

    const auto sibling = least_loaded(slot);
    if (!sibling) return;
    const auto& listeners = around_.listeners.all();
    for (std::uint32_t address = 0; address < listeners.size(); ++address) {
        if (!listeners[address].per_slot() || !listeners[address].listening(slot.index())) continue;
        slots_[*sibling]->tell(ipc::Adopt{.slot = slot.index(), .listener = address},
                               std::array{listeners[address].socket_of(slot.index())});
        slot.adopter = sibling;
    }
}

std::optional<std::uint32_t> Supervisor::least_loaded(const Slot& except) const {
    std::optional<std::uint32_t> best;
    std::uint64_t best_load = 0;
    for (const auto& slot : slots_) {
        if (slot->state != SlotState::ready || slot.get() == &except) continue;
        const auto load = around_.board.row(slot->index()).loop.connections.get();
        if (best && load >= best_load) continue;
        best = slot->index();
        best_load = load;
    }
    return best;
}

}  // namespace master
