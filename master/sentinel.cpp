// master/sentinel.cpp: forked as a worker is, replaced with growing delays.
#include "master/sentinel.h"

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

constexpr milliseconds stop_delay{1000};    ///< from Stop to KILL
constexpr milliseconds abort_time{1000};    ///< from ABRT to KILL
constexpr milliseconds resolve_time{6000};  ///< a start waits for names no longer; the sentinel knows less

}  // namespace

Sentinel::Sentinel(const Surroundings& around, std::function<void()> on_change)
    : around_(around),
      on_change_(std::move(on_change)),
      slot_(*this, around_.loop, 0, {}, "sentinel"),  // it has no row
      watchdog_(around_.watchdog),
      timer_(ipc::Event::timer<&Sentinel::on_time>(this, around_.loop)) {}

void Sentinel::start(std::uint32_t term) {
    if (wanted_ || !around_.run) return;
    wanted_ = true;
    term_ = term;
    spawn();
}

void Sentinel::serve() {
    serving_ = true;
    slot_.tell(ipc::Serve{});
}

bool Sentinel::resolved() const noexcept {
    return !wanted_ || slot_.ready_ms != 0 || slot_.restarts > 0 || late_;
}

void Sentinel::stop() {
    wanted_ = false;
    timer_.disarm();
    if (!slot_.running()) return;
    slot_.state = ipc::SlotState::draining;
    slot_.tell(ipc::Stop{});
    timer_.arm(stop_delay);
}

void Sentinel::reopen(std::uint32_t request) {
    if (!slot_.running()) return;
    slot_.reopen_asked = request;
    const int error_log = around_.logs.error_descriptor();
    slot_.tell(ipc::Reopen{.request = request}, std::span(&error_log, error_log >= 0 ? 1 : 0));
}

bool Sentinel::confirmed(std::uint32_t request) const noexcept {
    return !slot_.running() || slot_.reopen_asked < request || slot_.reopen_done >= request;
}

void Sentinel::on_time(short) {
    if (wanted_) return slot_.running() ? check_pulse() : spawn();
    spdlog::error("sentinel does not leave and is killed pid={}", slot_.pid());
    slot_.signal(SIGKILL);
}

/// One that does nothing is worse than none: it may hold the lease, and nobody would know.
void Sentinel::check_pulse() {
    const auto now = ipc::monotonic_ms();
    watchdog_.look(now);
    timer_.arm(milliseconds(Watchdog::look_ms));
    if (slot_.state == ipc::SlotState::stuck) return slot_.signal(SIGKILL);
    if (slot_.ready_ms == 0) {
        const auto age = milliseconds(now - slot_.started_ms);
        if (!late_ && age >= std::min(resolve_time, around_.start_timeout * 3 / 4)) {
            late_ = true;
            on_change_();
        }
        if (age < around_.start_timeout) return;
        spdlog::error("sentinel not ready in time and is killed pid={}", slot_.pid());
        return slot_.signal(SIGKILL);
    }
    const auto since = std::max(slot_.ready_ms, vitals_->loop.heartbeat_ms.get());
    if (watchdog_.judge(since, now) != Pulse::dead) return;
    spdlog::error("sentinel is stuck and is aborted pid={} silent_ms={}", slot_.pid(), now - since);
    slot_.state = ipc::SlotState::stuck;
    slot_.signal(SIGABRT);
    timer_.arm(abort_time);
}

void Sentinel::spawn() {
    slot_.state = ipc::SlotState::starting;
    slot_.started_ms = ipc::monotonic_ms();
    slot_.ready_ms = 0;
    slot_.reopen_asked = slot_.reopen_done = 0;
    const auto spawned = fork();
    if (spawned) {
        spdlog::info("sentinel started generation={} pid={}", around_.generation, slot_.pid());
        timer_.arm(milliseconds(Watchdog::look_ms));
        if (serving_) slot_.tell(ipc::Serve{});
        return;
    }
    late_ = true;
    on_change_();
    spdlog::error("sentinel cannot be started why={:?}", spawned.error().text());
    respawn_later();
}

/// Its vitals are its own: a late one must not speak for its successor.
ipc::Result<void> Sentinel::fork() {
    auto vitals = ipc::SharedCell<ipc::SentinelVitals>::make();
    if (!vitals) return tl::make_unexpected(std::move(vitals.error()));
    vitals_ = std::move(*vitals);
    return slot_.spawn({around_.logs.error_descriptor(), around_.config},
                       [this](ipc::Channel channel) { return run(std::move(channel)); });
}

/// The child's whole life; see `Supervisor::run`.
int Sentinel::run(ipc::Channel channel) {
    around_.title.set("reeve: sentinel");
    if (!ipc::open_log(around_.logs.error_log(), "sentinel", around_.logs.error_descriptor())) return 1;
    ipc::Seat seat;
    seat.generation = around_.generation;
    seat.master_pid = ::getppid();
    seat.channel = std::move(channel);
    seat.log_level = around_.logs.error_log().level;
    seat.config = ipc::UniqueFd(around_.config);
    seat.scoreboard = &around_.board;
    seat.vitals = vitals_.get();
    seat.term = term_;
    return around_.run(std::move(seat));
}

void Sentinel::on_message(Slot&, const ipc::Message& message) {
    if (std::holds_alternative<ipc::Ready>(message) && slot_.ready_ms == 0) {
        slot_.ready_ms = ipc::monotonic_ms();
        if (wanted_) slot_.state = ipc::SlotState::ready;
        return on_change_();
    }
    if (const auto* failed = std::get_if<ipc::Failed>(&message)) {
        spdlog::error("sentinel cannot check pid={} why={:?}", slot_.pid(), failed->why);
        return;
    }
    if (const auto* reopened = std::get_if<ipc::Reopened>(&message);
        reopened != nullptr && reopened->request > slot_.reopen_done &&
        reopened->request <= slot_.reopen_asked) {
        slot_.reopen_done = reopened->request;
        return on_change_();
    }
    slot_.punish("a message that nobody asked for");
}

void Sentinel::on_end(Slot&, const Ending& ending) {
    const bool asked = !wanted_;
    spdlog::log(asked && ending.signal == 0 ? spdlog::level::info : spdlog::level::err,
                "sentinel {} generation={} pid={} ending={:?} age_ms={}{}", asked ? "left" : "died",
                around_.generation, slot_.pid(), ending.text(), ipc::monotonic_ms() - slot_.started_ms,
                autopsy(vitals_->crash));
    timer_.disarm();
    slot_.state = ipc::SlotState::empty;
    if (wanted_) {
        ++slot_.restarts;
        respawn_later();
    }
    on_change_();
}

/// Unlike a worker it is never missed so much that there were no time for a breath.
void Sentinel::respawn_later() {
    std::optional<milliseconds> served;
    if (slot_.ready_ms != 0) served = milliseconds(ipc::monotonic_ms() - slot_.ready_ms);
    slot_.state = ipc::SlotState::backing_off;
    timer_.arm(std::max(slot_.backoff.died(served), Backoff::first_delay));
}

}  // namespace master
