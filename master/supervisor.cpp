// master/supervisor.cpp: one timer looks after all slots; each change settles who gets connections.
#include "master/supervisor.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "ipc/clock.h"
#include "master/autopsy.h"
#include "master/process_usage.h"

namespace master {
namespace {

using ipc::RestartCause;
using ipc::SlotState;
using std::chrono::milliseconds;

/// A worker that dies this often before its first READY ends the first start.
constexpr std::uint32_t failed_starts_max = 3;
constexpr std::uint64_t abort_time_ms = 1000;       ///< from ABRT to KILL
constexpr std::uint64_t drain_grace_ms = 1000;      ///< beyond the limit, which workers keep themselves
constexpr std::uint64_t memory_every_ms = 1000;     ///< how often resident memory is looked at
constexpr std::uint64_t recycle_again_ms = 10'000;  ///< after a successor that did not get ready

std::uint64_t count_ms(milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

/// A tenth more or less, so that workers which started together do not leave together.
std::uint64_t jittered(std::uint64_t limit) {
    if (limit == 0) return 0;
    std::random_device random;
    return std::max<std::uint64_t>(1, limit - limit / 10 + random() % (limit / 5 + 1));
}

ipc::Drain drain_within(milliseconds limit) {
    const auto most = std::numeric_limits<std::uint32_t>::max();
    return {.limit_ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(count_ms(limit), most))};
}

}  // namespace

Supervisor::Supervisor(Surroundings around, std::function<void()> on_change)
    : around_(around),
      on_change_(std::move(on_change)),
      begun_ms_(ipc::monotonic_ms()),
      watchdog_(around.plan.reeve.watchdog),
      adoption_(around.listeners, around.board),
      look_(ipc::Event::timer<&Supervisor::on_look>(this, around_.loop)) {}

Supervisor::~Supervisor() {
    for_each([&](Slot& slot) { around_.board.give_back(slot.row); });
}

template <class Visit>
void Supervisor::for_each(const Visit& visit) const {
    for (const auto& slot : slots_) visit(*slot);
    for (const auto& slot : successors_) visit(*slot);
    for (const auto& slot : leaving_) visit(*slot);
}

void Supervisor::start() {
    for (std::uint32_t index = 0; index < around_.plan.workers && !start_failure_; ++index) {
        auto slot = make_slot(index);
        if (slot)
            slots_.push_back(std::move(slot));
        else
            start_failure_ = "the scoreboard has no row left for another worker";
    }
    for (auto& slot : slots_) spawn(*slot);
    publish();
    plan_look();
    if (start_failure_) on_change_();
}

ipc::Result<void> Supervisor::serve() {
    if (auto listening = around_.listeners.listen(); !listening) return listening;
    mode_ = Mode::running;
    for (auto& slot : slots_)
        if (slot->state == SlotState::ready) slot->tell(ipc::Serve{});
    adoption_.begin(ipc::monotonic_ms());
    settle();
    return {};
}

void Supervisor::unready() {
    if (mode_ == Mode::running) mode_ = Mode::unready;
    for_each([](Slot& slot) { slot.tell(ipc::Unready{}); });
}

void Supervisor::drain(milliseconds limit) { leave(drain_within(limit)); }

void Supervisor::stop() { leave(ipc::Stop{}); }

void Supervisor::leave(const ipc::Message& message) {
    mode_ = Mode::leaving;
    adoption_.end();
    for_each([&](Slot& slot) {
        slot.state = slot.running() ? SlotState::draining : SlotState::empty;
        slot.due_ms = 0;
        slot.tell(message);
    });
    publish();
}

void Supervisor::signal(int number) {
    for_each([&](Slot& slot) { slot.signal(number); });
}

void Supervisor::tell_all(const ipc::Message& message) {
    for_each([&](Slot& slot) { slot.tell(message); });
}

void Supervisor::take_over_leftovers() {
    adoption_.begin(ipc::monotonic_ms());
    settle();
}

std::uint32_t Supervisor::reopen() {
    const ipc::Reopen request{.request = ++reopens_};
    const auto descriptors = around_.logs.descriptors();
    for_each([&](Slot& slot) {
        if (!slot.running()) return;
        slot.reopen_asked = request.request;
        slot.tell(request, descriptors);
    });
    return request.request;
}

std::uint32_t Supervisor::running() const noexcept {
    std::uint32_t count = 0;
    for_each([&](const Slot& slot) { count += slot.running() ? 1 : 0; });
    return count;
}

bool Supervisor::healthy() const noexcept {
    return std::any_of(slots_.begin(), slots_.end(),
                       [](const auto& slot) { return slot->state == SlotState::ready; });
}

std::vector<std::uint32_t> Supervisor::unconfirmed(std::uint32_t request) const {
    std::vector<std::uint32_t> waiting;
    for_each([&](const Slot& slot) {
        if (slot.running() && slot.reopen_asked >= request && slot.reopen_done < request)
            waiting.push_back(slot.index());
    });
    return waiting;
}

std::vector<const Slot*> Supervisor::slots() const {
    std::vector<const Slot*> all;
    for_each([&](const Slot& slot) { all.push_back(&slot); });
    return all;
}

// ---- birth ----------------------------------------------------------------------------------------

std::unique_ptr<Slot> Supervisor::make_slot(std::uint32_t index) {
    const auto row = around_.board.take(static_cast<std::uint32_t>(::getpid()));
    if (!row) return nullptr;
    auto& tenant = around_.board.row(*row).tenant;
    tenant.slot.set(index);
    tenant.generation.set(around_.generation);
    tenant.generation_ms.set(begun_ms_);
    return std::make_unique<Slot>(*this, around_.loop, index, *row);
}

void Supervisor::spawn(Slot& slot) {
    const auto now = ipc::monotonic_ms();
    auto& cell = around_.board.row(slot.row);
    cell.crash.clear();
    slot.state = SlotState::starting;
    slot.started_ms = now;
    slot.ready_ms = 0;
    slot.due_ms = now + count_ms(around_.plan.reeve.start_timeout);
    slot.reopen_asked = slot.reopen_done = 0;
    slot.cause.reset();
    slot.requests_before = cell.loop.requests.get();
    slot.requests_limit = jittered(around_.plan.max_requests);
    publish(slot);  // the child may look before we do anything else
    const auto spawned = slot.spawn(kept_descriptors(slot),
                                    [&](ipc::Channel channel) { return run(slot, std::move(channel)); });
    if (spawned) {
        cell.tenant.pid.set(static_cast<std::uint64_t>(slot.pid()));
        cell.tenant.started_ms.set(now);
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
    std::vector<int> keep{around_.logs.error_descriptor(), around_.config};
    for (const auto& entry : around_.listeners.all()) keep.push_back(entry.socket(slot.index())->fd.get());
    for (const auto& file : around_.logs.access_logs()) keep.push_back(file.get());
    if (around_.pools != nullptr)
        for (const int fd : around_.pools->table().descriptors()) keep.push_back(fd);
    return keep;
}

/// The child's whole life. What it inherited is the parent's: it is used up here, and never destroyed.
int Supervisor::run(Slot& slot, ipc::Channel channel) {
    const auto role = "worker/" + std::to_string(slot.index());
    around_.title.set("reeve: worker " + std::to_string(slot.index()));
    if (!ipc::open_log(around_.logs.error_log(), role, around_.logs.error_descriptor())) return 1;

    ipc::Seat seat;
    seat.slot = slot.index();
    seat.generation = around_.generation;
    seat.workers = around_.plan.workers;
    seat.started = started_;
    seat.master_pid = ::getppid();
    seat.started_ms = around_.started_ms;
    seat.listeners = around_.listeners.for_seat(slot.index());
    for (const auto& file : around_.logs.access_logs()) seat.access_logs.emplace_back(file.get());
    seat.channel = std::move(channel);
    seat.log_level = around_.logs.error_log().level;
    seat.config = ipc::UniqueFd(around_.config);
    seat.cell = &around_.board.row(slot.row);
    seat.scoreboard = &around_.board;
    seat.row = slot.row;
    if (around_.pools != nullptr) seat.pools = &around_.pools->table();
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
    spdlog::info("worker ready slot={} generation={} pid={}", slot.index(), around_.generation, slot.pid());
    if (mode_ != Mode::getting_ready) admit(slot);
    started_ = started_ || std::all_of(slots_.begin(), slots_.end(),
                                       [](const auto& each) { return each->state == SlotState::ready; });
    publish();
    on_change_();
}

/// Into a generation that serves.
void Supervisor::admit(Slot& slot) {
    slot.tell(ipc::Serve{});
    if (mode_ == Mode::unready) slot.tell(ipc::Unready{});
    if (slot.role == Slot::Role::successor) take_seat(slot);
    settle();
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
    auto& cell = around_.board.row(slot.row);
    cell.loop.connections.set(0);
    around_.board.end_calls(slot.row);
    if (around_.pools != nullptr) around_.pools->worker_gone(slot.row);
    cell.loop.in_flight.end();
    cell.tenant.pid.set(0);
    slot.due_ms = 0;
    if (slot.role != Slot::Role::seated) {
        if (slot.role == Slot::Role::successor)
            slots_[slot.index()]->recycle_ms = ipc::monotonic_ms() + recycle_again_ms;
        slot.state = SlotState::empty;
        around_.board.give_back(slot.row);
        auto& place = slot.role == Slot::Role::successor ? successors_ : leaving_;
        const auto here =
            std::find_if(place.begin(), place.end(), [&](const auto& each) { return each.get() == &slot; });
        gone_.push_back(std::move(*here));
        place.erase(here);
        look_.arm(milliseconds{0});
    } else if (mode_ == Mode::leaving) {
        slot.state = SlotState::empty;
    } else {
        replace(slot);
    }
    settle();
    publish();
    on_change_();
}

void Supervisor::report_death(Slot& slot, const Ending& ending) {
    const auto now = ipc::monotonic_ms();
    auto& cell = around_.board.row(slot.row);
    const auto request = cell.loop.in_flight.text();
    const bool asked = mode_ == Mode::leaving || slot.role == Slot::Role::leaving;
    spdlog::log(asked && ending.signal == 0 ? spdlog::level::info : spdlog::level::err,
                "worker {} slot={} generation={} pid={} ending={:?} age_ms={} request={:?}{}",
                asked ? "left" : "died", slot.index(), around_.generation, slot.pid(), ending.text(),
                now - slot.started_ms, request, autopsy(cell.crash));
    const bool crashed = ending.signal != 0 && ending.signal != SIGKILL && ending.signal != SIGTERM;
    if (crashed || slot.cause == RestartCause::stuck) suspect(request, now);
    if (asked) return;
    const auto cause = slot.cause.value_or(ending.signal != 0 ? RestartCause::signal : RestartCause::exit);
    around_.board.masters().restarts[static_cast<std::size_t>(cause)].add_shared();
}

void Supervisor::suspect(const std::string& request, std::uint64_t now) {
    const auto crashes = around_.poison.crashed(request, now);
    if (crashes < 2) return;
    around_.board.masters().poison_requests.add_shared();
    spdlog::critical("poison request: workers die of it again and again request={:?} crashes={}", request,
                     crashes);
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

// ---- one worker for another -----------------------------------------------------------------------

ipc::Result<void> Supervisor::recycle(std::uint32_t index, RestartCause cause) {
    const auto name = "worker " + std::to_string(index);
    if (mode_ != Mode::running) return ipc::failure("workers are not replaced now");
    if (index >= slots_.size()) return ipc::failure("there is no " + name);
    auto& seated = *slots_[index];
    const bool begun = std::any_of(successors_.begin(), successors_.end(),
                                   [&](const auto& each) { return each->index() == index; });
    if (begun) return ipc::failure(name + " is being replaced already");
    if (seated.state == SlotState::stuck) {  // it would not hear, and nobody can wait for it
        seated.cause = cause;
        seated.signal(SIGKILL);
        return {};
    }
    if (seated.state != SlotState::ready) return ipc::failure(name + " is not ready");

    auto slot = make_slot(index);
    if (!slot) return ipc::failure("the scoreboard has no row left for another worker");
    spdlog::info("worker is replaced slot={} generation={} pid={} cause={}", index, around_.generation,
                 seated.pid(), ipc::name(cause));
    slot->role = Slot::Role::successor;
    slot->restarts = seated.restarts + 1;
    spawn(*slot);
    if (!slot->running()) {
        seated.recycle_ms = ipc::monotonic_ms() + recycle_again_ms;
        around_.board.give_back(slot->row);
        return ipc::failure("no process for another worker");
    }
    slot->replaces_for = cause;
    successors_.push_back(std::move(slot));
    publish();
    plan_look();
    return {};
}

void Supervisor::take_seat(Slot& successor) {
    const auto found = std::find_if(successors_.begin(), successors_.end(),
                                    [&](const auto& each) { return each.get() == &successor; });
    const auto cause = successor.replaces_for;
    auto& seat = slots_[successor.index()];
    auto old = std::exchange(seat, std::move(*found));
    successors_.erase(found);
    seat->role = Slot::Role::seated;
    seat->adopter.reset();
    adoption_.forget(seat->index(), slots_);
    around_.board.masters().restarts[static_cast<std::size_t>(cause)].add_shared();
    if (old->adopter) slots_[*old->adopter]->tell(ipc::Release{.queue = old->index()});
    if (!old->running()) {  // died meanwhile, and waited for its next start
        around_.board.give_back(old->row);
        gone_.push_back(std::move(old));
        return look_.arm(milliseconds{0});
    }
    const auto limit = around_.plan.reeve.shutdown_timeout;
    old->role = Slot::Role::leaving;
    old->state = SlotState::draining;
    old->due_ms = ipc::monotonic_ms() + count_ms(limit) + drain_grace_ms;
    old->tell(drain_within(limit));
    leaving_.push_back(std::move(old));
}

void Supervisor::recycle_if_due(Slot& slot, std::uint64_t now) {
    if (slot.state != SlotState::ready || mode_ != Mode::running || now < slot.recycle_ms) return;
    if (!successors_.empty()) return;  // one after the other
    const auto& loop = around_.board.row(slot.row).loop;
    const auto served = loop.requests.get() - slot.requests_before;
    std::optional<RestartCause> cause;
    if (slot.requests_limit != 0 && served >= slot.requests_limit) cause = RestartCause::max_requests;
    if (around_.plan.max_memory != 0 && now - memory_looked_ms_ >= memory_every_ms) {
        const auto usage = process_usage(slot.pid());
        if (usage && usage->rss_bytes > around_.plan.max_memory) cause = RestartCause::max_memory;
    }
    if (!cause) return;
    if (const auto begun = recycle(slot.index(), *cause); !begun)
        spdlog::error("worker cannot be replaced slot={} why={:?}", slot.index(), begun.error().text());
}

// ---- looking after the living ---------------------------------------------------------------------

void Supervisor::plan_look() {
    const auto now = ipc::monotonic_ms();
    auto next = now + Watchdog::look_ms;
    for_each([&](const Slot& slot) {
        if (slot.due_ms != 0) next = std::min(next, std::max(slot.due_ms, now));
    });
    look_.arm(milliseconds(next - now));
}

void Supervisor::on_look(short) {
    const auto now = ipc::monotonic_ms();
    gone_.clear();
    watchdog_.look(now);
    if (mode_ != Mode::leaving) {
        for_each([&](Slot& slot) { look_after(slot, now); });
        for (std::size_t index = 0; index < slots_.size(); ++index) recycle_if_due(*slots_[index], now);
        if (now - memory_looked_ms_ >= memory_every_ms) memory_looked_ms_ = now;
        settle();
    }
    publish();
    plan_look();
}

void Supervisor::look_after(Slot& slot, std::uint64_t now) {
    const bool due = slot.due_ms != 0 && now >= slot.due_ms;
    switch (slot.state) {
        case SlotState::starting:
            if (!due) return;
            spdlog::error("worker not ready in time and is killed slot={} pid={}", slot.index(), slot.pid());
            slot.due_ms = 0;
            slot.cause = RestartCause::not_ready;
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
            if (!due) return;
            slot.due_ms = 0;
            return slot.signal(SIGKILL);
        case SlotState::empty: return;
    }
}

void Supervisor::check_pulse(Slot& slot, std::uint64_t now) {
    if (slot.state == SlotState::stuck && slot.due_ms != 0) return;  // ABRT is on its way
    const auto& loop = around_.board.row(slot.row).loop;
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
            slot.cause = RestartCause::stuck;
            return slot.signal(SIGABRT);
    }
}

// ---- who gets connections -------------------------------------------------------------------------

/// Steers new connections to ready slots, and finds a sibling for what waits in the queues of others.
void Supervisor::settle() {
    if (mode_ == Mode::leaving || mode_ == Mode::getting_ready) return;
    std::vector<bool> live;
    for (const auto& slot : slots_) live.push_back(slot->state == SlotState::ready);
    if (const auto steered = around_.listeners.steer(live); !steered)
        spdlog::error("cannot steer connections why={:?}", steered.error().text());
    adoption_.settle(slots_, ipc::monotonic_ms());
}

/// What other processes may know of the slots.
void Supervisor::publish() {
    for_each([this](const Slot& slot) { publish(slot); });
}

void Supervisor::publish(const Slot& slot) {
    auto& tenant = around_.board.row(slot.row).tenant;
    tenant.state.set(static_cast<std::uint64_t>(slot.state));
    tenant.restarts.set(slot.restarts);
}

}  // namespace master
