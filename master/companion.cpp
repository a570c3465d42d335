// master/companion.cpp: forked as a worker is, replaced with growing delays.
#include "master/companion.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <utility>

#include "ipc/clock.h"
#include "master/autopsy.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds abort_time{1000};  ///< from ABRT to KILL
constexpr milliseconds longest_breath{
    1000};  ///< from a death to the next start: whoever waits for it is not to give up

}  // namespace

Companion::Companion(const Surroundings& around, CompanionTrade& trade, const char* what,
                     milliseconds late_after, std::function<void()> on_change)
    : around_(around),
      trade_(trade),
      what_(what),
      late_after_(late_after),
      on_change_(std::move(on_change)),
      slot_(*this, around_.loop, 0, {}, what),
      watchdog_(around_.watchdog),
      timer_(ipc::Event::timer<&Companion::on_time>(this, around_.loop)) {}

void Companion::start() {
    if (wanted_ || !around_.run) return;
    wanted_ = true;
    spawn();
}

void Companion::serve() {
    serving_ = true;
    slot_.tell(ipc::Serve{});
}

void Companion::drain(const ipc::Drain& word) {
    draining_ = word;
    slot_.tell(word);
}

void Companion::let_go(const ipc::Message& word) {
    last_ = true;
    if (slot_.running()) return slot_.tell(word);
    wanted_ = false;
    timer_.disarm();
}

void Companion::leave(const ipc::Message& word, milliseconds limit) {
    wanted_ = false;
    timer_.disarm();
    if (!slot_.running()) return;
    slot_.state = ipc::SlotState::draining;
    slot_.tell(word);
    timer_.arm(limit);
}

void Companion::reopen(std::uint32_t request) {
    if (!slot_.running()) return;
    slot_.reopen_asked = request;
    const int error_log = around_.logs.error_descriptor();
    slot_.tell(ipc::Reopen{.request = request}, std::span(&error_log, error_log >= 0 ? 1 : 0));
}

bool Companion::confirmed(std::uint32_t request) const noexcept {
    return !slot_.running() || slot_.reopen_asked < request || slot_.reopen_done >= request;
}

void Companion::on_time(short) {
    if (wanted_) return slot_.running() ? check_pulse() : spawn();
    spdlog::error("{} does not leave and is killed pid={}", what_, slot_.pid());
    slot_.signal(SIGKILL);
}

/// One that does nothing is worse than none: it may hold what another one could use, and nobody would know.
void Companion::check_pulse() {
    const auto now = ipc::monotonic_ms();
    watchdog_.look(now);
    timer_.arm(milliseconds(Watchdog::look_ms));
    if (slot_.state == ipc::SlotState::stuck) return slot_.signal(SIGKILL);
    if (slot_.ready_ms == 0) {
        const auto age = milliseconds(now - slot_.started_ms);
        if (!late_ && age >= late_after_) {
            late_ = true;
            on_change_();
        }
        if (age < around_.start_timeout) return;
        spdlog::error("{} not ready in time and is killed pid={}", what_, slot_.pid());
        return slot_.signal(SIGKILL);
    }
    const auto since = std::max(slot_.ready_ms, vitals_->loop.heartbeat_ms.get());
    if (watchdog_.judge(since, now) != Pulse::dead) return;
    spdlog::error("{} is stuck and is aborted pid={} silent_ms={}", what_, slot_.pid(), now - since);
    slot_.state = ipc::SlotState::stuck;
    slot_.signal(SIGABRT);
    timer_.arm(abort_time);
}

void Companion::spawn() {
    slot_.state = ipc::SlotState::starting;
    slot_.started_ms = ipc::monotonic_ms();
    slot_.ready_ms = 0;
    slot_.reopen_asked = slot_.reopen_done = 0;
    const auto spawned = fork();
    if (spawned) {
        spdlog::info("{} started generation={} pid={}", what_, around_.generation, slot_.pid());
        trade_.on_begun();
        timer_.arm(milliseconds(Watchdog::look_ms));
        if (serving_) slot_.tell(ipc::Serve{});
        if (draining_) slot_.tell(*draining_);
        return;
    }
    late_ = true;
    on_change_();
    complaint_ = spawned.error().text();
    spdlog::error("{} cannot be started why={:?}", what_, complaint_);
    respawn_later();
}

/// Its vitals are its own: a late one must not speak for its successor.
ipc::Result<void> Companion::fork() {
    auto vitals = ipc::SharedCell<ipc::CompanionVitals>::make();
    if (!vitals) return tl::make_unexpected(std::move(vitals.error()));
    vitals_ = std::move(*vitals);
    auto keep = trade_.descriptors();
    keep.insert(keep.end(), {around_.logs.error_descriptor(), around_.config});
    return slot_.spawn(std::move(keep), [this](ipc::Channel channel) { return run(std::move(channel)); });
}

/// The child's whole life; see `Supervisor::run`.
int Companion::run(ipc::Channel channel) {
    around_.title.set(std::string("reeve: ") + what_);
    if (!ipc::open_log(around_.logs.error_log(), what_, around_.logs.error_descriptor())) return 1;
    ipc::Seat seat;
    seat.generation = around_.generation;
    seat.master_pid = ::getppid();
    seat.channel = std::move(channel);
    seat.log_level = around_.logs.error_log().level;
    seat.config = ipc::UniqueFd(around_.config);
    seat.scoreboard = &around_.board;
    seat.vitals = vitals_.get();
    trade_.furnish(seat);
    return around_.run(std::move(seat));
}

void Companion::on_message(Slot&, const ipc::Message& message) {
    if (std::holds_alternative<ipc::Ready>(message) && slot_.ready_ms == 0) {
        slot_.ready_ms = ipc::monotonic_ms();
        if (wanted_) slot_.state = ipc::SlotState::ready;
        return on_change_();
    }
    if (const auto* failed = std::get_if<ipc::Failed>(&message)) {
        complaint_ = failed->why;
        spdlog::error("{} cannot {} pid={} why={:?}", what_, trade_.work(), slot_.pid(), complaint_);
        return on_change_();
    }
    if (const auto* reopened = std::get_if<ipc::Reopened>(&message);
        reopened != nullptr && reopened->request > slot_.reopen_done &&
        reopened->request <= slot_.reopen_asked) {
        slot_.reopen_done = reopened->request;
        return on_change_();
    }
    slot_.punish("a message that nobody asked for");
}

void Companion::on_end(Slot&, const Ending& ending) {
    const bool clean = ending.signal == 0 && ending.status == 0;
    const bool asked = !wanted_ || (draining_ && clean);
    if (asked || last_) wanted_ = false;
    spdlog::log(asked && ending.signal == 0 ? spdlog::level::info : spdlog::level::err,
                "{} {} generation={} pid={} ending={:?} age_ms={}{}", what_, asked ? "left" : "died",
                around_.generation, slot_.pid(), ending.text(), ipc::monotonic_ms() - slot_.started_ms,
                autopsy(vitals_->crash));
    timer_.disarm();
    slot_.state = ipc::SlotState::empty;
    trade_.on_ended();
    if (wanted_) {
        ++slot_.restarts;
        respawn_later();
    }
    on_change_();
}

/// Unlike a worker it is never missed so much that there were no time for a breath.
void Companion::respawn_later() {
    std::optional<milliseconds> served;
    if (slot_.ready_ms != 0) served = milliseconds(ipc::monotonic_ms() - slot_.ready_ms);
    slot_.state = ipc::SlotState::backing_off;
    timer_.arm(std::clamp(slot_.backoff.died(served), Backoff::first_delay, longest_breath));
}

}  // namespace master
