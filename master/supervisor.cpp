// master/supervisor.cpp: one timer looks after all slots; each change settles who gets connections.
#include "master/supervisor.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
constexpr std::uint64_t end_surplus_ms = 1000;      ///< one worker that is not needed goes each
constexpr std::uint32_t spawned_max = 16;           ///< workers that are started in one turn

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
      adoption_(around.listeners, around.board, around.plan.queues()),
      look_(ipc::Event::timer<&Supervisor::on_look>(this, around_.loop)) {}

Supervisor::~Supervisor() {
    for_each([&](Slot& slot) { give_back_rows(slot); });
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
        slot.state = slot.running() || slot.expects() ? SlotState::draining : SlotState::empty;
        slot.waits_to_be_forked = false;
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
    for_each([&](const Slot& slot) { count += slot.running() || slot.expects() ? 1 : 0; });
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
    const auto& crew = around_.plan.crew;
    std::vector<std::uint32_t> rows;
    for (std::uint32_t number = 0; number < crew.executors(); ++number) {
        const auto row = around_.board.take(static_cast<std::uint32_t>(::getpid()));
        if (!row) {
            for (const auto taken : rows) around_.board.give_back(taken);
            return nullptr;
        }
        rows.push_back(*row);
        auto& tenant = around_.board.row(*row).tenant;
        tenant.slot.set(index);
        tenant.generation.set(around_.generation);
        tenant.generation_ms.set(begun_ms_);
        tenant.number.set(number);
        const auto kind = number >= crew.number_of_threads(0) ? ipc::Executor::thread
                          : crew.has_main && number == 0      ? ipc::Executor::acceptor
                                                              : ipc::Executor::loop;
        tenant.executor.set(static_cast<std::uint64_t>(kind));
    }
    return std::make_unique<Slot>(*this, around_.loop, index, std::move(rows));
}

void Supervisor::give_back_rows(const Slot& slot) {
    for (const auto row : slot.rows) around_.board.give_back(row);
}

ipc::WorkerCell& Supervisor::cell_of(const Slot& slot, std::uint32_t executor) const {
    return around_.board.row(slot.rows.at(executor));
}

std::uint64_t Supervisor::requests_of(const Slot& slot) const {
    std::uint64_t sum = 0;
    for (const auto row : slot.rows) sum += around_.board.row(row).loop.requests.get();
    return sum;
}

std::uint64_t Supervisor::connections_of(const Slot& slot) const {
    std::uint64_t sum = 0;
    for (const auto row : slot.rows) sum += around_.board.row(row).loop.connections.get();
    return sum;
}

void Supervisor::spawn(Slot& slot) {
    const auto now = ipc::monotonic_ms();
    cell_of(slot).crash.clear();
    slot.state = SlotState::starting;
    slot.started_ms = now;
    slot.ready_ms = 0;
    slot.reopen_asked = slot.reopen_done = 0;
    slot.cause.reset();
    slot.surplus = false;
    slot.silent.assign(slot.rows.size(), false);
    slot.requests_before = requests_of(slot);
    slot.requests_limit = jittered(around_.plan.max_requests);
    publish(slot);  // the child may look before we do anything else
    begin(slot);
}

/// By the master itself.
void Supervisor::fork(Slot& slot) {
    const auto now = ipc::monotonic_ms();
    slot.due_ms = now + count_ms(around_.plan.reeve.start_timeout);
    slot.started_ms = now;
    const auto spawned = slot.spawn(kept_descriptors(slot),
                                    [&](ipc::Channel channel) { return run(slot, std::move(channel)); });
    if (spawned) return settle_in(slot, {});
    spdlog::error("worker cannot be started slot={} why={:?}", slot.index(), spawned.error().text());
    if (!started_) start_failure_ = spawned.error().text();
    slot.state = SlotState::backing_off;  // the delay grows: a system without processes needs rest, not forks
    const auto delay = std::max(slot.backoff.died(std::nullopt), Backoff::first_delay);
    slot.due_ms = now + count_ms(delay);
}

/// It is known to everybody from now on.
void Supervisor::settle_in(const Slot& slot, std::string_view forked_by) {
    for (const auto row : slot.rows) {
        around_.board.row(row).tenant.pid.set(static_cast<std::uint64_t>(slot.pid()));
        around_.board.row(row).tenant.started_ms.set(slot.started_ms);
    }
    spdlog::info("worker started slot={} generation={} pid={}{}{}", slot.index(), around_.generation,
                 slot.pid(), forked_by.empty() ? "" : " forked_by=", forked_by);
}

std::vector<int> Supervisor::access_log_descriptors() const {
    std::vector<int> all;
    all.reserve(around_.logs.access_logs().size());
    for (const auto& file : around_.logs.access_logs()) all.push_back(file.get());
    return all;
}

std::uint32_t Supervisor::accepting_loops() const noexcept {
    return around_.plan.accept == conf::Accept::handoff ? 1 : around_.plan.crew.loops;
}

/// What is the same for all workers of the generation.
void Supervisor::furnish(ipc::Seat& seat) {
    seat.generation = around_.generation;
    seat.workers = around_.plan.workers;
    seat.master_pid = ::getppid();
    seat.started_ms = around_.started_ms;
    seat.scoreboard = &around_.board;
    if (around_.pools != nullptr) seat.pools = &around_.pools->table();
    seat.loops = around_.plan.crew.loops;
    seat.threads = around_.plan.crew.threads;
    if (around_.keeper_address >= 0) seat.keeper_address = ipc::UniqueFd(around_.keeper_address);
}

std::vector<int> Supervisor::kept_descriptors(const Slot& slot) const {
    std::vector<int> keep{around_.logs.error_descriptor(), around_.config, around_.keeper_address};
    const auto queues = around_.plan.queues();
    for (const auto& entry : around_.listeners.all())
        for (std::uint32_t queue = slot.index() * queues; queue < (slot.index() + 1) * queues; ++queue)
            keep.push_back(entry.socket(queue)->fd.get());
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
    furnish(seat);
    seat.slot = slot.index();
    seat.started = started_;
    seat.listeners = around_.listeners.for_seat(slot.index(), accepting_loops());
    for (const int file : access_log_descriptors()) seat.access_logs.emplace_back(file);
    seat.channel = std::move(channel);
    seat.log_level = around_.logs.error_log().level;
    seat.config = ipc::UniqueFd(around_.config);
    seat.cell = &cell_of(slot);
    for (const auto row : slot.rows) seat.crew.push_back(&around_.board.row(row));
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
    if (std::holds_alternative<ipc::Occupied>(message)) return fit_number(ipc::monotonic_ms());
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
    if (crowded_) slot.tell(ipc::Crowded{.on = 1});
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
    for (const auto row : slot.rows) {
        around_.board.vacate(row);
        if (around_.pools != nullptr) around_.pools->worker_gone(row);
    }
    slot.due_ms = 0;
    if (slot.role != Slot::Role::seated) {
        if (slot.role == Slot::Role::successor)
            slots_[slot.index()]->recycle_ms = ipc::monotonic_ms() + recycle_again_ms;
        slot.state = SlotState::empty;
        give_back_rows(slot);
        auto& place = slot.role == Slot::Role::successor ? successors_ : leaving_;
        const auto here =
            std::find_if(place.begin(), place.end(), [&](const auto& each) { return each.get() == &slot; });
        gone_.push_back(std::move(*here));
        place.erase(here);
        look_.arm(milliseconds{0});
    } else if (mode_ == Mode::leaving || slot.surplus) {
        slot.state = SlotState::empty;
    } else {
        replace(slot);
    }
    settle();
    publish();
    on_change_();
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

ipc::Result<void> Supervisor::recycle(std::uint32_t index, RestartCause cause, const std::string& more) {
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
    spdlog::info("worker is replaced slot={} generation={} pid={} cause={}{}", index, around_.generation,
                 seated.pid(), ipc::name(cause), more);
    slot->role = Slot::Role::successor;
    slot->restarts = seated.restarts + 1;
    spawn(*slot);
    if (!slot->running() && !slot->expects() && !slot->waits_to_be_forked) {
        seated.recycle_ms = ipc::monotonic_ms() + recycle_again_ms;
        give_back_rows(*slot);
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
    adoption_.give_back(*old, slots_);
    if (!old->running()) {  // died meanwhile, and waited for its next start
        give_back_rows(*old);
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
    const auto served = requests_of(slot) - slot.requests_before;
    std::optional<RestartCause> cause;
    std::string more;
    if (slot.requests_limit != 0 && served >= slot.requests_limit) cause = RestartCause::max_requests;
    if (around_.plan.max_memory != 0 && now - memory_looked_ms_ >= memory_every_ms) {
        const auto usage = process_usage(slot.pid());
        if (usage && usage->rss_bytes > around_.plan.max_memory) {
            cause = RestartCause::max_memory;
            more = memory_words(usage->rss_bytes, around_.plan.max_memory, cell_of(slot).modules.get());
        }
    }
    if (!cause) return;
    if (const auto begun = recycle(slot.index(), *cause, more); !begun)
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
        on_preloader();
        collect_unborn();
        for_each([&](Slot& slot) { look_after(slot, now); });
        for (std::size_t index = 0; index < slots_.size(); ++index) recycle_if_due(*slots_[index], now);
        if (now - memory_looked_ms_ >= memory_every_ms) memory_looked_ms_ = now;
        fit_number(now);
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
            if (slot.expects()) {
                slot.due_ms = 0;  // its channel ends with the preloader
                return around_.preloader->give_up();
            }
            spdlog::error("worker not ready in time and is killed slot={} pid={}{}", slot.index(), slot.pid(),
                          module_words(cell_of(slot).loop.in_flight.module()));
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

/// Of each loop; threads may block. A worker of which the loop that hears us is silent is stuck as a whole;
/// of another one only what that loop would get goes elsewhere, until it is dead, and with it the worker.
void Supervisor::check_pulse(Slot& slot, std::uint64_t now) {
    if (slot.state == SlotState::stuck && slot.due_ms != 0) return;  // ABRT is on its way
    for (std::uint32_t executor = 0; executor < around_.plan.crew.number_of_threads(0); ++executor) {
        const auto since = std::max(slot.ready_ms, cell_of(slot, executor).loop.heartbeat_ms.get());
        on_pulse(slot, executor, watchdog_.judge(since, now), now > since ? now - since : 0);
        if (slot.due_ms != 0) return;
    }
}

void Supervisor::on_pulse(Slot& slot, std::uint32_t executor, Pulse pulse, std::uint64_t silent_ms) {
    const bool was_silent = executor == 0 ? slot.state == SlotState::stuck : slot.silent[executor];
    switch (pulse) {
        case Pulse::alive:
            if (was_silent)
                spdlog::warn("worker moves again slot={} pid={}{}", slot.index(), slot.pid(),
                             name_of(executor));
            return fall_silent(slot, executor, false);
        case Pulse::silent:
            if (!was_silent)
                spdlog::warn("worker is stuck slot={} pid={}{} silent_ms={}{}", slot.index(), slot.pid(),
                             name_of(executor), silent_ms, doing(slot, executor));
            return fall_silent(slot, executor, true);
        case Pulse::dead:
            spdlog::error("worker is stuck and is aborted slot={} pid={}{} silent_ms={}{}", slot.index(),
                          slot.pid(), name_of(executor), silent_ms, doing(slot, executor));
            return abort(slot, executor);
    }
}

void Supervisor::fall_silent(Slot& slot, std::uint32_t executor, bool silent) {
    if (executor == 0) {
        slot.state = silent ? SlotState::stuck : SlotState::ready;
        return;
    }
    if (slot.silent[executor] == silent) return;
    slot.silent[executor] = silent;
    const auto queues = around_.plan.queues();
    if (queues == 1) return;  // it has no queue of its own
    const auto queue = slot.index() * queues + executor - around_.plan.crew.number_of_loop(0);
    if (!silent) return slot.tell(ipc::Release{.queue = queue});
    const auto& entries = around_.listeners.all();
    for (std::uint32_t address = 0; address < entries.size(); ++address)
        if (entries[address].has_queues() && entries[address].socket(queue)->listening())
            slot.tell(ipc::Adopt{.queue = queue, .listener = address},
                      std::array{entries[address].socket(queue)->fd.get()});
}

/// By the thread of that loop, so that the core and the backtrace are of what it was doing.
void Supervisor::abort(Slot& slot, std::uint32_t executor) {
    slot.state = SlotState::stuck;
    slot.due_ms = ipc::monotonic_ms() + abort_time_ms;
    slot.cause = RestartCause::stuck;
    const auto thread = cell_of(slot, executor).tenant.thread.get();
    if (thread == 0 || ::syscall(SYS_tgkill, slot.pid(), static_cast<pid_t>(thread), SIGABRT) != 0)
        slot.signal(SIGABRT);
}

// ---- as many as it takes ----------------------------------------------------------------------------

/// With `processes_max`: idle workers are kept at hand while there may be more, and end when there are too
/// many.
void Supervisor::fit_number(std::uint64_t now) {
    const auto& plan = around_.plan;
    if (plan.processes_max == 0 || (mode_ != Mode::running && mode_ != Mode::unready)) return;
    std::uint32_t idle = 0, starting = 0;
    for (const auto& slot : slots_) {
        if (slot->state == SlotState::starting) ++starting;
        if (slot->state == SlotState::ready && connections_of(*slot) == 0) ++idle;
    }
    std::uint32_t waiting = 0;
    for (const auto& entry : around_.listeners.all())
        waiting += Listener::pending(*entry.socket(0)).value_or(0);
    const auto wanted = plan.spares_min + waiting;
    if (idle + starting < wanted) add_workers(wanted - idle - starting);
    const bool full = std::none_of(slots_.begin(), slots_.end(), [](const auto& slot) {
        return slot->state == SlotState::empty || slot->state == SlotState::starting;
    });
    const bool too_many = waiting > 0 && full && slots_.size() >= plan.processes_max;
    tell_crowded(idle == 0 && (too_many || crowded_));
    if (idle > plan.spares_max && now - surplus_ended_ms_ >= end_surplus_ms) end_surplus(now);
}

void Supervisor::add_workers(std::uint32_t wanted) {
    wanted = std::min(wanted, spawned_max);
    for (std::size_t index = 0; wanted > 0 && index < around_.plan.processes_max; ++index) {
        if (index == slots_.size()) {
            auto slot = make_slot(static_cast<std::uint32_t>(index));
            if (!slot) return spdlog::error("the scoreboard has no row left for another worker");
            slots_.push_back(std::move(slot));
        }
        if (slots_[index]->state != SlotState::empty || slots_[index]->running()) continue;
        spawn(*slots_[index]);
        --wanted;
    }
    publish();
}

/// The last one that is idle: the kernel prefers the first.
void Supervisor::end_surplus(std::uint64_t now) {
    for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) {
        if ((*slot)->index() < around_.plan.workers) return;
        if ((*slot)->state != SlotState::ready || connections_of(**slot) != 0) continue;
        const auto limit = around_.plan.reeve.shutdown_timeout;
        surplus_ended_ms_ = now;
        (*slot)->surplus = true;
        (*slot)->state = SlotState::draining;
        (*slot)->due_ms = now + count_ms(limit) + drain_grace_ms;
        return (*slot)->tell(drain_within(limit));
    }
}

void Supervisor::tell_crowded(bool on) {
    if (std::exchange(crowded_, on) == on) return;
    spdlog::info(on ? "clients wait, and there are as many workers as there may be"
                    : "there are idle workers again");
    for (const auto& slot : slots_)
        if (slot->state == SlotState::ready) slot->tell(ipc::Crowded{.on = on ? 1u : 0u});
}

// ---- who gets connections -------------------------------------------------------------------------

/// Steers new connections to ready slots, and finds a sibling for what waits in the queues of others.
void Supervisor::settle() {
    if (mode_ == Mode::leaving || mode_ == Mode::getting_ready) return;
    std::vector<bool> live;
    const auto& crew = around_.plan.crew;
    for (const auto& slot : slots_)
        for (std::uint32_t queue = 0; queue < around_.plan.queues(); ++queue) {
            const auto executor = around_.plan.queues() > 1 ? crew.number_of_loop(queue) : 0;
            live.push_back(slot->state == SlotState::ready && !slot->silent.at(executor));
        }
    if (const auto steered = around_.listeners.steer(live); !steered)
        spdlog::error("cannot steer connections why={:?}", steered.error().text());
    adoption_.settle(slots_, ipc::monotonic_ms());
}

/// What other processes may know of the slots.
void Supervisor::publish() {
    for_each([this](const Slot& slot) { publish(slot); });
}

void Supervisor::publish(const Slot& slot) {
    for (const auto row : slot.rows) {
        auto& tenant = around_.board.row(row).tenant;
        tenant.state.set(static_cast<std::uint64_t>(slot.state));
        tenant.restarts.set(slot.restarts);
    }
}

}  // namespace master
