// worker/execution/thread_pools.h: the pools of threads of one process.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/execution/thread_pool.h"

namespace worker::execution {

/// Built once a process, by the thread that starts it; then any thread may ask.
class ThreadPools {
 public:
    /// Starts the pools of `config` that are of threads. `table`: of its pools, outlives this; null: it has
    /// none. `row`: of this worker in the scoreboard.
    [[nodiscard]] static ipc::Result<ThreadPools> start(const conf::Config& config, ipc::PoolTable* table,
                                                        std::uint32_t row,
                                                        const ThreadPool::Lodging& lodging);

    /// By its name; null when there is no such pool of threads.
    [[nodiscard]] ThreadPool* find(std::string_view name) const noexcept;

 private:
    std::vector<std::unique_ptr<ThreadPool>> all_;
};

}  // namespace worker::execution
