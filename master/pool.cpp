// master/pool.cpp: one look after the other at what the table says, what the processes do, and what is due.
#include "master/pool.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <utility>

#include "ipc/clock.h"
#include "master/autopsy.h"
#include "master/process_usage.h"

namespace master {
namespace {

using ipc::MemberState;
using std::chrono::milliseconds;

constexpr std::uint64_t look_soon_ms = 10;            ///< while a process is waited for
constexpr std::uint64_t look_seldom_ms = 500;         ///< while nothing is
constexpr std::uint64_t rss_every_ms = 1000;          ///< how often resident memory is looked at
constexpr std::uint64_t successor_again_ms = 10'000;  ///< after a successor that did not get ready
constexpr milliseconds native_grace{1000};  ///< beyond `kill_grace`, which our own code keeps itself

std::uint64_t in_ms(milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

/// A tenth more or less, so that processes which started together do not leave together.
std::uint64_t about(std::uint64_t limit) {
    if (limit == 0) return 0;
    std::random_device random;
    return std::max<std::uint64_t>(1, limit - limit / 10 + random() % (limit / 5 + 1));
}

std::string request_words(const std::string& request) {
    return request.empty() ? request : fmt::format(" request={:?}", request);
}

}  // namespace

Pool::Pool(const PoolSurroundings& around, const conf::Pool& pool, conf::PoolSize size, ipc::PoolTable& table,
           std::uint32_t index, std::vector<PoolSocket> sockets, std::function<void()> wake)
    : around_(around),
      config_(pool),
      size_(size),
      table_(table),
      index_(index),
      wake_(std::move(wake)),
      grace_(pool.kill_grace) {
    for (auto& socket : sockets) {
        const auto number = static_cast<std::uint32_t>(members_.size());
        table_.set_address(index_, number, socket.take_address());
        auto& member = *members_.emplace_back(std::make_unique<Member>(number, std::move(socket)));
        member.process = std::make_unique<PoolProcess>(
            around_.loop, [this, &member](const Ending& ending) { on_end(member, ending); },
            [this, &member](std::string_view line) { on_line(member, line); });
    }
}

void Pool::start() {
    for (std::uint32_t index = 0; index < size_.begin; ++index) members_[index]->wanted = true;
    begin_start_check();
}

void Pool::begin_start_check() {
    started_ = started_ || std::all_of(members_.begin(), members_.end(), [](const auto& member) {
                   return !member->wanted || member->ready_ms != 0;
               });
}

void Pool::hurry(milliseconds grace) {
    grace_ = grace;
    const auto last = ipc::monotonic_ms() + in_ms(with_margin(grace));
    for (auto& member : members_)
        if (member->asked && member->due_ms != 0) member->due_ms = std::min(member->due_ms, last);
}

void Pool::stop(milliseconds grace) {
    leaving_ = true;
    const auto now = ipc::monotonic_ms();
    for (auto& member : members_) {
        member->wanted = false;
        if (!member->process->running()) continue;
        if (member->asked)
            member->due_ms = std::min(member->due_ms, now + in_ms(grace));
        else
            end(*member, now, grace);
    }
}

std::uint32_t Pool::running() const noexcept {
    return static_cast<std::uint32_t>(std::count_if(
        members_.begin(), members_.end(), [](const auto& member) { return member->process->running(); }));
}

/// Successors apart.
std::uint32_t Pool::living() const noexcept {
    return static_cast<std::uint32_t>(std::count_if(members_.begin(), members_.end(), [](const auto& member) {
        return member->wanted && !member->replaces;
    }));
}

std::uint64_t Pool::look(std::uint64_t now) {
    for (auto& member : members_) look_at(*member, now);
    if (!leaving_ && started_) {
        grow(now);
        shrink(now);
        recycle(now);
        if (now - memory_looked_ms_ >= rss_every_ms) memory_looked_ms_ = now;
    }
    table_.set_growing(index_, !leaving_ && living() < size_.max);
    std::uint64_t next = now + look_seldom_ms;
    for (const auto& member : members_) {
        const auto is = state(*member);
        if (member->process->running() && !member->asked &&
            ((is == MemberState::starting && member->ready_ms == 0) || is == MemberState::doubtful))
            next = std::min(next, now + look_soon_ms);
        if (member->due_ms != 0) next = std::min(next, std::max(member->due_ms, now + 1));
    }
    return next;
}

// ---- one member -----------------------------------------------------------------------------------

void Pool::look_at(Member& member, std::uint64_t now) {
    if (!member.process->running()) {
        if (member.wanted && now >= member.due_ms) spawn(member, now);
        return;
    }
    if (member.asked) return look_at_end(member, now);
    switch (state(member)) {
        case MemberState::off:
        case MemberState::starting:
            if (member.ready_ms != 0) return;  // and is held back, for the one that it replaces
            probe(member, now);
            if (member.ready_ms != 0 || now - member.started_ms < in_ms(around_.start_timeout)) return;
            if (!started_ && !start_failure_)
                start_failure_ = fmt::format("pool {}: its process takes no connections", config_.name);
            spdlog::error(
                "pool member takes no connections and is ended pool={} member={} pid={} waited_ms={}{}",
                config_.name, member.index, member.process->pid(), now - member.started_ms, doing(member));
            return end(member, now, grace_);
        case MemberState::doubtful:
            // Threads take connections although one of them may be at what was given up.
            if (!conf::is_hosted(config_)) probe(member, now);
            if (state(member) != MemberState::doubtful) return;
            if (!conf::is_hosted(config_) &&
                table_.age_ms(index_, member.index, now) < in_ms(config_.timeout))
                return;
            (void)table_.change(index_, member.index, MemberState::doubtful, MemberState::overdue, now);
            return end_overdue(member, now);
        case MemberState::overdue: return end_overdue(member, now);
        case MemberState::retiring: member.wanted = false; return end(member, now, grace_);
        case MemberState::idle:
        case MemberState::busy: return;
    }
}

void Pool::look_at_end(Member& member, std::uint64_t now) {
    if (member.due_ms == 0 || now < member.due_ms) return;
    member.due_ms = 0;
    member.killed = true;
    table_.counters(index_).kills.add_shared();
    spdlog::warn("pool member does not leave and is killed pool={} member={} pid={}{}", config_.name,
                 member.index, member.process->pid(), doing(member));
    member.process->signal_group(SIGKILL);
}

/// A process's own, so that a late one does not speak for its successor. Null: it is not watched.
ipc::MemberVitals* Pool::renew_vitals(Member& member) const {
    member.vitals = {};
    if (config_.run.kind != conf::PoolRun::Kind::module) return nullptr;
    auto made = ipc::SharedCell<ipc::MemberVitals>::make();
    if (made) member.vitals = std::move(*made);
    return member.vitals.get();
}

/// " request=\"GET /\" module=thumbnails handler=small", as far as it has said.
std::string Pool::doing(const Member& member) {
    if (!member.vitals) return {};
    const auto& in_flight = member.vitals->in_flight;
    return request_words(in_flight.text()) + module_words(in_flight.module());
}

/// Likewise, and what its note says.
std::string Pool::post_mortem(const Member& member) {
    if (!member.vitals) return {};
    const auto& in_flight = member.vitals->in_flight;
    const auto& note = member.vitals->crash;
    if (!note.pool().empty())  // one of several threads
        return request_words(note.about()) + autopsy(note, note.module_of_task());
    return request_words(in_flight.text()) + autopsy(member.vitals->crash, in_flight.module());
}

void Pool::end_overdue(Member& member, std::uint64_t now) {
    spdlog::warn("pool task takes too long and its process is ended pool={} member={} pid={} timeout_ms={}{}",
                 config_.name, member.index, member.process->pid(), config_.timeout.count(), doing(member));
    end(member, now, grace_);
}

void Pool::end(Member& member, std::uint64_t now, milliseconds grace) {
    if (member.asked) return;
    member.asked = true;
    member.probe.reset();
    member.due_ms = now + std::max<std::uint64_t>(1, in_ms(with_margin(grace)));
    member.process->signal_group(SIGTERM);
    wake_();
}

milliseconds Pool::with_margin(milliseconds grace) const noexcept {
    return config_.run.kind != conf::PoolRun::Kind::fastcgi ? grace + native_grace : grace;
}

void Pool::spawn(Member& member, std::uint64_t now) {
    const auto is = state(member);
    // Nobody waits for an answer to what is there, unless it was given a task just now.
    if (is != MemberState::busy && table_.change(index_, member.index, is, MemberState::starting, now))
        member.socket.drop_pending();
    member.asked = member.killed = false;
    member.started_ms = now;
    member.ready_ms = member.due_ms = 0;
    member.tasks_limit = about(config_.max_tasks);
    Launch what{.pool = config_,
                .user = config_.user.empty() ? around_.user : config_.user,
                .listener = member.socket.fd(),
                .config = around_.config,
                .serve = around_.serve,
                .title = around_.title};
    what.vitals = renew_vitals(member);
    const auto spawned = member.process->spawn(what, {around_.config});
    if (!spawned) {
        spdlog::error("pool member cannot be started pool={} member={} why={:?}", config_.name, member.index,
                      spawned.error().text());
        if (!started_) start_failure_ = "pool " + config_.name + ": " + spawned.error().text();
        member.due_ms = now + in_ms(std::max(member.backoff.died(std::nullopt), Backoff::first_delay));
        return;
    }
    table_.counters(index_).started.add_shared();
    table_.set_process(index_, member.index, member.process->pid(), member.tasks_limit);
    spdlog::info("pool member started pool={} member={} generation={} pid={}", config_.name, member.index,
                 around_.generation, member.process->pid());
    // With a task in its queue it has better things to do than to prove itself.
    if (state(member) == MemberState::busy) member.ready_ms = now;
}

/// Asks whether it takes connections by making one, which carries nothing.
void Pool::probe(Member& member, std::uint64_t now) {
    if (!member.probe) {
        member.probe = connect_to_pool(table_.address(index_, member.index));
        if (!member.probe) return;
    }
    if (member.socket.pending()) return;
    member.probe.reset();
    on_ready(member, now);
}

void Pool::on_ready(Member& member, std::uint64_t now) {
    if (member.ready_ms == 0) {
        member.ready_ms = now;
        spdlog::debug("pool member ready pool={} member={} pid={}", config_.name, member.index,
                      member.process->pid());
        begin_start_check();
    }
    if (member.replaces) return succeed(member, now);
    for (const auto from : {MemberState::starting, MemberState::doubtful})
        if (table_.change(index_, member.index, from, MemberState::idle, now)) break;
    wake_();
}

void Pool::on_end(Member& member, const Ending& ending) {
    const auto now = ipc::monotonic_ms();
    const auto is = state(member);
    const bool asked = member.asked;
    spdlog::log(asked ? spdlog::level::info : spdlog::level::err,
                "pool member {} pool={} member={} generation={} pid={} ending={:?} age_ms={} tasks={}{}{}",
                asked ? "left" : "died", config_.name, member.index, around_.generation,
                member.process->pid(), ending.text(), now - member.started_ms,
                table_.tasks(index_, member.index), is == MemberState::busy ? " with a task" : "",
                post_mortem(member));
    member.probe.reset();
    member.asked = false;
    member.due_ms = 0;
    table_.set_process(index_, member.index, 0, 0);
    // Whose task ends after this sees that there is no process.
    for (auto now_is = state(member); now_is != MemberState::busy && now_is != MemberState::off;
         now_is = state(member))
        if (table_.change(index_, member.index, now_is, MemberState::off, now)) break;
    if (!asked) {
        table_.counters(index_).crashes.add_shared();
        if (!started_ && member.ready_ms == 0 && !start_failure_) {
            const auto& said = member.process->last_words();
            start_failure_ = fmt::format("pool {}: its process ended before it took a connection: {}{}",
                                         config_.name, ending.text(), said.empty() ? "" : ": " + said);
        }
    }
    if (member.replaces && member.wanted) {  // the one before stays
        spdlog::error("pool member cannot be replaced pool={} member={}", config_.name, *member.replaces);
        member.replaces.reset();
        member.wanted = false;
        recycle_ms_ = now + successor_again_ms;
    }
    if (member.wanted && !asked && !leaving_) {
        std::optional<milliseconds> served;
        if (member.ready_ms != 0) served = milliseconds(now - member.ready_ms);
        const auto delay = member.backoff.died(served);
        member.due_ms = now + in_ms(delay);
        if (delay.count() > 0)
            spdlog::warn("pool member keeps dying, will retry pool={} member={} delay_ms={}", config_.name,
                         member.index, delay.count());
    }
    member.ready_ms = 0;
    wake_();
}

void Pool::on_line(const Member& member, std::string_view line) {
    if (!budget_.take(ipc::monotonic_ms())) return;
    if (const auto untold = budget_.take_untold(); untold > 0)
        spdlog::warn("pool said more than the log takes pool={} lines_untold={}", config_.name, untold);
    spdlog::warn("pool says pool={} member={} pid={} text={:?}", config_.name, member.index,
                 member.process->pid(), line);
}

// ---- how many -------------------------------------------------------------------------------------

Pool::Member* Pool::spare() {
    for (auto& member : members_)
        if (!member->wanted && !member->process->running() && state(*member) == MemberState::off)
            return member.get();
    return nullptr;
}

/// One for each that waits, but no more at once than there are already.
void Pool::grow(std::uint64_t now) {
    const auto waiting = table_.waiting(index_);
    if (waiting == 0) return;
    const auto alive = living();
    std::uint64_t coming = 0;
    for (const auto& member : members_) {
        if (!member->wanted || member->replaces || member->ready_ms != 0) continue;
        if (!member->process->running() && member->due_ms > now) return;  // they die: more would die too
        ++coming;
    }
    if (alive >= size_.max || waiting <= coming) return;
    auto more = std::min<std::uint64_t>({waiting - coming, size_.max - alive, std::max(1u, alive)});
    for (; more > 0; --more) {
        Member* member = spare();
        if (member == nullptr) return;
        member->wanted = true;
        spawn(*member, now);
    }
}

/// Those with the highest numbers: the others are asked first, and stay warm.
void Pool::shrink(std::uint64_t now) {
    for (auto place = members_.rbegin(); place != members_.rend() && living() > size_.min; ++place) {
        Member& member = **place;
        if (!member.wanted || member.replaces || state(member) != MemberState::idle ||
            table_.age_ms(index_, member.index, now) < in_ms(config_.idle_timeout))
            continue;
        if (table_.change(index_, member.index, MemberState::idle, MemberState::retiring, now))
            look_at(member, now);
    }
}

// ---- one for another ------------------------------------------------------------------------------

std::optional<std::string> Pool::recycle_cause(const Member& member, std::uint64_t now) const {
    const auto tasks = table_.tasks(index_, member.index);
    if (member.tasks_limit != 0 && tasks >= member.tasks_limit) return fmt::format(" tasks={}", tasks);
    if (config_.max_memory == 0 || now - memory_looked_ms_ < rss_every_ms) return std::nullopt;
    const auto usage = process_usage(member.process->pid());
    if (!usage || usage->rss_bytes <= config_.max_memory) return std::nullopt;
    return memory_words(usage->rss_bytes, config_.max_memory,
                        member.vitals ? member.vitals->modules.get() : std::string());
}

/// One after the other.
void Pool::recycle(std::uint64_t now) {
    for (auto& member : members_)
        if (member->replaces) {
            // It is ready, and waits for the task of the other.
            if (member->ready_ms != 0 && member->process->running()) succeed(*member, now);
            return;
        }
    if (now < recycle_ms_) return;
    for (auto& member : members_) {
        const auto is = state(*member);
        if (!member->process->running() || member->asked ||
            (is != MemberState::idle && is != MemberState::busy))
            continue;
        const auto cause = recycle_cause(*member, now);
        if (!cause) continue;
        Member* successor = spare();
        if (successor == nullptr) return;
        spdlog::info("pool member is replaced pool={} member={} pid={} by_member={}{}", config_.name,
                     member->index, member->process->pid(), successor->index, *cause);
        successor->wanted = true;
        successor->replaces = member->index;
        return spawn(*successor, now);
    }
}

/// The successor is ready. Until the other is done it takes nothing, so that there are never too many at
/// work.
void Pool::succeed(Member& successor, std::uint64_t now) {
    Member& old = *members_[*successor.replaces];
    const auto before = state(old);
    if (old.wanted && before != MemberState::retiring && before != MemberState::off &&
        !table_.ask_to_retire(index_, old.index, now))
        return;
    old.wanted = false;
    if (before != MemberState::off) table_.counters(index_).recycled.add_shared();
    if (old.process->running()) end(old, now, grace_);
    successor.replaces.reset();
    (void)table_.change(index_, successor.index, MemberState::starting, MemberState::idle, now);
    wake_();
}

}  // namespace master
