// worker/execution/pool_queue.h: those of one loop who wait for a member of a pool.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/pool_table.h"
#include "worker/execution/loop.h"
#include "worker/execution/standing_line.h"

namespace worker::execution {

/// Who wants a member. Told once, and not from within a call to the queue; nothing after `PoolQueue::leave`.
class PoolWaiter : private StandingLine::Place {
 public:
    virtual ~PoolWaiter() = default;

 protected:
    /// Here it is, to be given back to the table.
    virtual void on_member(const ipc::PoolTask& task) = 0;
    /// It took too long.
    virtual void on_late() = 0;

 private:
    friend class PoolQueue;
};

/// They are served as a `StandingLine` has it. Loop thread only.
class PoolQueue {
 public:
    enum class Asked : std::uint8_t { given, queued, full };

    /// `row`: of this worker in the scoreboard. Loop and table must outlive it, and it all who wait.
    PoolQueue(Loop& loop, ipc::PoolTable& table, std::uint32_t pool, std::uint32_t row,
              std::chrono::milliseconds timeout);
    PoolQueue(const PoolQueue&) = delete;
    PoolQueue& operator=(const PoolQueue&) = delete;

    /// A member at once, or a place in the queue, if there is one. `task` is set when it was given.
    [[nodiscard]] Asked ask(PoolWaiter& waiter, ipc::PoolTask& task);
    /// The task is done: its member is for the next, who may wait here.
    void release(const ipc::PoolTask& task);
    /// Wants none any more; it may not wait at all.
    void leave(PoolWaiter& waiter) noexcept;

    [[nodiscard]] std::size_t waiting() const noexcept { return line_.size(); }
    [[nodiscard]] ipc::PoolTable& table() noexcept { return table_; }
    [[nodiscard]] std::uint32_t pool() const noexcept { return pool_; }

 private:
    void on_bell(short what);
    void on_time(short what);
    void give();
    void refuse_late();
    void remove(PoolWaiter& waiter) noexcept;
    void plan();
    [[nodiscard]] std::uint64_t usual_us() const noexcept;

    Loop& loop_;
    ipc::PoolTable& table_;
    std::uint32_t pool_, row_;
    StandingLine line_;
    bool looks_ = false;  ///< when this turn is over
    ipc::Event bell_, timer_;
};

/// Those of a loop, one a pool.
class PoolQueues {
 public:
    /// `table`: of the pools of `config`; null where it has none. As of `PoolQueue`.
    PoolQueues(const conf::Config& config, Loop& loop, ipc::PoolTable* table, std::uint32_t row);

    /// By the pool's place in the configuration.
    [[nodiscard]] PoolQueue& of(std::size_t pool) { return all_.at(pool); }

 private:
    std::deque<PoolQueue> all_;
};

}  // namespace worker::execution
