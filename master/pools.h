// master/pools.h: the pools of one generation: its processes, and a table of what all of them do.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/pool.h"
#include "ipc/event.h"
#include "ipc/pool_table.h"
#include "master/pool.h"

namespace master {

/// They come with their generation, and go when all its workers have left.
class Pools {
 public:
    /// Makes the table and the sockets; nothing is forked yet. `pools` outlive this. `on_change` is called,
    /// from the loop, when an answer to one of the questions below may have changed.
    [[nodiscard]] static ipc::Result<std::unique_ptr<Pools>> prepare(const PoolSurroundings& around,
                                                                     const std::vector<conf::Pool>& pools,
                                                                     std::function<void()> on_change);
    Pools(const Pools&) = delete;
    Pools& operator=(const Pools&) = delete;

    void start();
    /// All are ready, or were once.
    [[nodiscard]] bool started() const noexcept;
    /// Why the first start cannot succeed.
    [[nodiscard]] std::optional<std::string> start_failure() const;
    /// The worker of that row has died: its tasks are nobody's.
    void worker_gone(std::uint32_t row);
    /// The keeper of that row has died: what its jobs ran in is ended, for they are begun anew.
    void keeper_gone(std::uint32_t row);
    /// For good. Hurried: KILL follows soon, whatever `kill_grace` says.
    void stop(bool hurried);
    /// Whatever is to be ended from now on has little time, and what is being ended no more than that.
    void hurry();
    /// What is left of `kill_grace` then.
    [[nodiscard]] static std::chrono::milliseconds short_grace(std::chrono::milliseconds kill_grace) noexcept;
    /// Processes that have not ended.
    [[nodiscard]] std::uint32_t running() const noexcept;

    [[nodiscard]] ipc::PoolTable& table() noexcept { return *table_; }
    [[nodiscard]] const ipc::PoolTable& table() const noexcept { return *table_; }

 private:
    Pools(const PoolSurroundings& around, std::unique_ptr<ipc::PoolTable> table,
          std::function<void()> on_change);
    /// What `on_change` is about.
    struct Answers {
        bool started = false, failed = false;
        std::uint32_t running = 0;
        bool operator==(const Answers&) const = default;
    };

    void wake();
    void on_bell(short what);
    void on_look(short what);
    void look();

    PoolSurroundings around_;
    std::unique_ptr<ipc::PoolTable> table_;
    std::function<void()> on_change_;
    ipc::Event bell_, look_;
    std::vector<std::unique_ptr<Pool>> pools_;
    Answers told_;
    bool woken_ = false;
};

}  // namespace master
