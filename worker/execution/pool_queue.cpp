#include "worker/execution/pool_queue.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "ipc/clock.h"

namespace worker::execution {
namespace {

/// Should a bell ever be lost with its process, nobody waits for it longer.
constexpr std::uint64_t look_again_us = 100'000;

}  // namespace

PoolQueue::PoolQueue(Loop& loop, ipc::PoolTable& table, std::uint32_t pool, std::uint32_t row,
                     std::chrono::milliseconds timeout)
    : loop_(loop),
      table_(table),
      pool_(pool),
      row_(row),
      line_(timeout),
      bell_(ipc::Event::calling<&PoolQueue::on_bell>(this, loop.base(), table.doorbell(pool),
                                                     EV_READ | EV_PERSIST)),
      timer_(ipc::Event::timer<&PoolQueue::on_time>(this, loop.base())) {}

PoolQueue::Asked PoolQueue::ask(PoolWaiter& waiter, ipc::PoolTask& task) {
    if (line_.size() == 0) {
        if (const auto given = table_.acquire(pool_, row_, loop_.clock().now_ms())) {
            task = *given;
            return Asked::given;
        }
    }
    if (!table_.enter(pool_, row_)) {
        table_.counters(pool_).refused_full.add_shared();
        return Asked::full;
    }
    if (line_.size() == 0) bell_.arm();
    line_.join(waiter, ipc::monotonic_us(), usual_us());
    // One that became idle before we said that we wait rings for nobody.
    if (line_.size() == 1) {
        if (const auto given = table_.acquire(pool_, row_, loop_.clock().now_ms())) {
            remove(waiter);
            task = *given;
            return Asked::given;
        }
    }
    plan();
    return Asked::queued;
}

void PoolQueue::leave(PoolWaiter& waiter) noexcept {
    if (!waiter.waits()) return;
    remove(waiter);
    table_.counters(pool_).left.add_shared();
}

/// Not before the turn is over: whoever gives it back is still at it. Where others wait too the bell is for
/// all.
void PoolQueue::release(const ipc::PoolTask& task) {
    const bool alone = table_.waiting(pool_) == line_.size();
    table_.release(task, loop_.clock().now_ms(), alone ? std::optional(row_) : std::nullopt);
    if (!alone || line_.size() == 0 || std::exchange(looks_, true)) return;
    loop_.after_turn([this] {
        looks_ = false;
        give();
    });
}

void PoolQueue::remove(PoolWaiter& waiter) noexcept {
    line_.leave(waiter);
    table_.leave(pool_, row_);
    table_.counters(pool_).waited_us.add_shared(ipc::monotonic_us() - waiter.since_us());
    if (line_.size() > 0) return;
    bell_.disarm();
    timer_.disarm();
}

/// What a task takes here; 0: none is over yet.
std::uint64_t PoolQueue::usual_us() const noexcept {
    const auto& counted = table_.counters(pool_);
    const std::uint64_t over = counted.over.get();
    return over > 0 ? std::max<std::uint64_t>(1, counted.busy_us.get() / over) : 0;
}

void PoolQueue::on_bell(short) {
    loop_.enter();
    std::uint64_t rung = 0;
    (void)!::read(table_.doorbell(pool_), &rung, sizeof rung);
    give();
}

void PoolQueue::on_time(short) {
    loop_.enter();
    refuse_late();
    give();
}

void PoolQueue::give() {
    while (StandingLine::Place* next = line_.next(ipc::monotonic_us(), usual_us())) {
        const auto task = table_.acquire(pool_, row_, loop_.clock().now_ms());
        if (!task) break;
        auto& waiter = static_cast<PoolWaiter&>(*next);
        remove(waiter);
        waiter.on_member(*task);
    }
    plan();
    table_.pass_on(pool_);  // one ring may have been for several
}

void PoolQueue::refuse_late() {
    const auto now = ipc::monotonic_us();
    while (StandingLine::Place* late = line_.late(now)) {
        auto& waiter = static_cast<PoolWaiter&>(*late);
        remove(waiter);
        table_.counters(pool_).refused_late.add_shared();
        waiter.on_late();
    }
}

void PoolQueue::plan() {
    const auto due = line_.due_us();
    if (!due) return;
    const auto now = ipc::monotonic_us();
    const std::uint64_t next = std::min(now + look_again_us, *due);
    timer_.arm(std::chrono::milliseconds(next > now ? (next - now + 999) / 1000 : 0));
}

PoolQueues::PoolQueues(const conf::Config& config, Loop& loop, ipc::PoolTable* table, std::uint32_t row) {
    for (std::uint32_t pool = 0; table != nullptr && pool < config.pools.size(); ++pool)
        all_.emplace_back(loop, *table, pool, row, config.pools[pool].queue_timeout);
}

}  // namespace worker::execution
