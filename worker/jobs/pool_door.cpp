#include "worker/jobs/pool_door.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "ipc/clock.h"
#include "worker/upstream/pool_members.h"

namespace worker::jobs {
namespace {

/// While a job waits for a member. Bells may be lost with their process, and one that rings while others wait
/// is not for us.
constexpr std::chrono::milliseconds door_look_again{25};
constexpr std::chrono::milliseconds ending_margin{3'000};  ///< beyond `kill_grace`: the master is busy

}  // namespace

PoolDoor::PoolDoor(const conf::Pool& pool, ipc::PoolTable& table, std::uint32_t index, std::uint32_t row,
                   execution::Loop& loop)
    : pool_(pool),
      table_(table),
      index_(index),
      row_(row),
      loop_(loop),
      config_(upstream::members_of(pool, table, index)),
      upstream_(config_, loop, nullptr, nullptr),
      places_(conf::is_hosted(pool) ? conf::thread_number(pool).begin : 1),
      bell_(ipc::Event::calling<&PoolDoor::on_bell>(this, loop.base(), table.doorbell(index),
                                                    EV_READ | EV_PERSIST)),
      timer_(ipc::Event::timer<&PoolDoor::on_time>(this, loop.base())) {
    upstream::name_members(upstream_, pool);
}

PoolDoor::~PoolDoor() { leave_line(); }

std::uint32_t PoolDoor::idle() const noexcept {
    std::uint32_t count = 0;
    for (std::uint32_t member = 0; member < table_.members(index_); ++member)
        count += table_.state(index_, member) == ipc::MemberState::idle ? places_ : 0;
    for (const Host& host : hosts_)
        if (!host.alone && !host.broken) count += places_ - static_cast<std::uint32_t>(host.sharers.size());
    return count;
}

bool PoolDoor::others_wait() const noexcept { return table_.waiting(index_) > (in_line_ ? 1u : 0u); }

std::uint32_t PoolDoor::reserve(std::uint32_t wanted) noexcept {
    if (others_wait()) return 0;
    const std::uint32_t there = idle();
    const std::uint32_t reserved = std::min(wanted, there > reserved_ ? there - reserved_ : 0);
    reserved_ += reserved;
    return reserved;
}

std::optional<ipc::PoolTask> PoolDoor::take(Sharer& sharer, bool alone) {
    if (others_wait()) return std::nullopt;
    if (shares()) return share(sharer, alone);
    return table_.acquire(index_, row_, loop_.clock().now_ms());
}

std::optional<ipc::PoolTask> PoolDoor::share(Sharer& sharer, bool alone) {
    if (alone_waits_ != nullptr && alone_waits_ != &sharer) return std::nullopt;
    const auto there = std::find_if(hosts_.begin(), hosts_.end(), [&](const Host& host) {
        return !alone && !host.alone && !host.broken && host.sharers.size() < places_;
    });
    if (there != hosts_.end()) {
        there->sharers.push_back(&sharer);
        counters().tasks.add_shared();
        return there->task;
    }
    const auto task = table_.acquire(index_, row_, loop_.clock().now_ms());
    if (!task) {
        if (alone) alone_waits_ = &sharer;
        return std::nullopt;
    }
    alone_waits_ = nullptr;
    hosts_.push_back({.task = *task, .alone = alone, .broken = false, .sharers = {&sharer}});
    return task;
}

void PoolDoor::wait(Waiter& waiter) {
    if (!waiter.linked()) waiter.join(waiters_);
    stand_in_line();
}

void PoolDoor::leave(Waiter& waiter) noexcept {
    waiter.unlink();
    if (!waiters_.linked()) leave_line();
}

/// So that a pool grows for us, and rings; and not behind those who wait longer than a queue is long.
void PoolDoor::stand_in_line() {
    timer_.arm(door_look_again);
    if (in_line_ || !table_.enter(index_, row_)) return;
    in_line_ = true;
    bell_.arm();
    // One that became idle before we said that we wait rings for nobody.
    if (idle() > reserved_) call_next();
}

void PoolDoor::leave_line() noexcept {
    timer_.disarm();
    bell_.disarm();
    if (!in_line_) return;
    in_line_ = false;
    table_.leave(index_, row_);
}

void PoolDoor::on_bell(short) {
    loop_.enter();
    std::uint64_t rung = 0;
    (void)!::read(table_.doorbell(index_), &rung, sizeof rung);
    const bool for_others = others_wait();
    // Passing it on would wake us again, and again, until they have had their turn: not before
    // `door_look_again`.
    if (for_others) bell_.disarm();
    table_.pass_on(index_);
    if (!for_others) call_next();
}

void PoolDoor::on_time(short) {
    loop_.enter();
    leave_line();  // and into it again: the master hears anew that somebody waits
    if (waiters_.linked()) call_next();
}

/// On a later turn: whoever gives a member back is still at it.
void PoolDoor::call_next() {
    if (calling_) return;
    calling_ = true;
    loop_.after_turn([this] {
        calling_ = false;
        execution::Link turn;  // each of them once
        while (waiters_.linked()) waiters_.next()->join(turn);
        while (turn.linked() && !others_wait() && idle() > reserved_) {
            auto& next = static_cast<Waiter&>(*turn.next());
            next.unlink();
            next.on_chance();
        }
        while (turn.linked()) turn.previous()->join(*waiters_.next());  // whom nothing was left for is first
        if (waiters_.linked())
            stand_in_line();
        else
            leave_line();
    });
}

void PoolDoor::give_share_back(const ipc::PoolTask& task, End how, const Sharer& sharer) {
    const auto now = ipc::monotonic_ms();
    const auto host = std::find_if(hosts_.begin(), hosts_.end(),
                                   [&](const Host& one) { return one.task.member == task.member; });
    if (host == hosts_.end()) return;  // condemned
    std::erase(host->sharers, &sharer);
    if (how == End::overdue) {
        const std::vector<Sharer*> others = std::move(host->sharers);
        hosts_.erase(host);
        table_.overdue(task, now);
        for (Sharer* const other : others) other->on_condemned();
        return;
    }
    if (how == End::broken) host->broken = true;
    if (!host->sharers.empty()) return;
    if (host->broken)
        table_.give_up(host->task, now);
    else
        table_.release(host->task, now, in_line_ ? std::optional(row_) : std::nullopt);
    hosts_.erase(host);
}

void PoolDoor::give_back(const ipc::PoolTask& task, End how, std::uint64_t begun_us, const Sharer& sharer) {
    const auto now = ipc::monotonic_ms();
    counters().busy_us.add_shared(ipc::monotonic_us() - begun_us);
    counters().over.add_shared();
    if (shares()) {
        give_share_back(task, how, sharer);
        if (waiters_.linked()) call_next();
        return;
    }
    switch (how) {
        case End::whole: {
            // Ours are looked after here: only others need the bell.
            table_.release(task, now, in_line_ ? std::optional(row_) : std::nullopt);
            break;
        }
        case End::broken: table_.give_up(task, now); break;
        case End::overdue: table_.overdue(task, now); break;
    }
    if (waiters_.linked()) call_next();
}

std::chrono::milliseconds PoolDoor::ending_time(const conf::Pool& pool) noexcept {
    const auto asked = conf::is_hosted(pool) ? pool.kill_grace : std::chrono::milliseconds(0);
    return asked + pool.kill_grace + ending_margin;
}

bool PoolDoor::still_ending(const ipc::PoolTask& task) const noexcept {
    return table_.state(task.pool, task.member) == ipc::MemberState::overdue;
}

}  // namespace worker::jobs
