#include "worker/execution/pool_queue.h"

#include <unistd.h>

#include <algorithm>

#include "ipc/clock.h"

namespace worker::execution {
namespace {

/// Should a bell ever be lost with its process, nobody waits for it longer.
constexpr std::uint64_t look_again_us = 100'000;

std::uint64_t microseconds(std::chrono::milliseconds time) {
    return static_cast<std::uint64_t>(std::chrono::microseconds(time).count());
}

}  // namespace

PoolQueue::PoolQueue(Loop& loop, ipc::PoolTable& table, std::uint32_t pool, std::uint32_t row,
                     std::chrono::milliseconds timeout)
    : loop_(loop),
      table_(table),
      pool_(pool),
      row_(row),
      timeout_us_(microseconds(timeout)),
      short_us_(std::min(timeout_us_, std::max(microseconds(short_time_min), timeout_us_ / 10))),
      bell_(ipc::Event::calling<&PoolQueue::on_bell>(this, loop.base(), table.doorbell(pool),
                                                     EV_READ | EV_PERSIST)),
      timer_(ipc::Event::timer<&PoolQueue::on_time>(this, loop.base())) {}

PoolQueue::Asked PoolQueue::ask(PoolWaiter& waiter, ipc::PoolTask& task) {
    if (waiting_ == 0) {
        if (const auto given = table_.acquire(pool_, row_, loop_.clock().now_ms())) {
            task = *given;
            return Asked::given;
        }
    }
    if (!table_.enter(pool_, row_)) {
        table_.counters(pool_).refused_full.add_shared();
        return Asked::full;
    }
    const auto now = ipc::monotonic_us();
    if (waiting_++ == 0) {
        since_us_ = now;
        bell_.arm();
    }
    const bool brief = standing();
    waiter.since_us_ = now;
    waiter.due_us_ = now + (brief ? std::min(timeout_us_, std::max(short_us_, usual_us())) : timeout_us_);
    waiter.join(brief ? brief_ : patient_);
    // One that became idle before we said that we wait rings for nobody.
    if (waiting_ == 1) {
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
    if (!waiter.linked()) return;
    remove(waiter);
    table_.counters(pool_).left.add_shared();
}

void PoolQueue::remove(PoolWaiter& waiter) noexcept {
    waiter.unlink();
    table_.leave(pool_, row_);
    table_.counters(pool_).waited_us.add_shared(ipc::monotonic_us() - waiter.since_us_);
    if (--waiting_ > 0) return;
    bell_.disarm();
    timer_.disarm();
}

bool PoolQueue::standing() const noexcept {
    const std::uint64_t usual = usual_us();
    return usual > 0 && ipc::monotonic_us() - since_us_ >= std::max(microseconds(standing_time), usual);
}

/// What a task takes here; 0: none is over yet.
std::uint64_t PoolQueue::usual_us() const noexcept {
    const auto& counted = table_.counters(pool_);
    const std::uint64_t over = counted.over.get();
    return over > 0 ? std::max<std::uint64_t>(1, counted.busy_us.get() / over) : 0;
}

PoolWaiter* PoolQueue::next() noexcept {
    if (waiting_ == 0) return nullptr;
    Link* link = nullptr;
    if (standing())
        link = brief_.linked() ? brief_.previous() : patient_.previous();
    else
        link = patient_.linked() ? patient_.next() : brief_.next();
    return static_cast<PoolWaiter*>(link);
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
    while (PoolWaiter* waiter = next()) {
        const auto task = table_.acquire(pool_, row_, loop_.clock().now_ms());
        if (!task) break;
        remove(*waiter);
        waiter->on_member(*task);
    }
    plan();
    table_.pass_on(pool_);  // one ring may have been for several
}

void PoolQueue::refuse_late() {
    const auto now = ipc::monotonic_us();
    for (Link* line : {&patient_, &brief_}) {
        while (line->linked()) {
            auto& oldest = static_cast<PoolWaiter&>(*line->next());
            if (oldest.due_us_ > now) break;
            remove(oldest);
            table_.counters(pool_).refused_late.add_shared();
            oldest.on_late();
        }
    }
}

void PoolQueue::plan() {
    if (waiting_ == 0) return;
    const auto now = ipc::monotonic_us();
    std::uint64_t next = now + look_again_us;
    for (Link* line : {&patient_, &brief_})
        if (line->linked()) next = std::min(next, static_cast<PoolWaiter&>(*line->next()).due_us_);
    timer_.arm(std::chrono::milliseconds(next > now ? (next - now + 999) / 1000 : 0));
}

PoolQueues::PoolQueues(const conf::Config& config, Loop& loop, ipc::PoolTable* table, std::uint32_t row) {
    for (std::uint32_t pool = 0; table != nullptr && pool < config.pools.size(); ++pool)
        all_.emplace_back(loop, *table, pool, row, config.pools[pool].queue_timeout);
}

}  // namespace worker::execution
