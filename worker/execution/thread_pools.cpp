#include "worker/execution/thread_pools.h"

#include <algorithm>
#include <utility>

namespace worker::execution {

ipc::Result<ThreadPools> ThreadPools::start(const conf::Config& config, ipc::PoolTable* table,
                                            std::uint32_t row, const ThreadPool::Lodging& lodging) {
    ThreadPools pools;
    for (std::uint32_t number = 0; number < config.pools.size(); ++number) {
        const conf::Pool& pool = config.pools[number];
        if (pool.kind != conf::Pool::Kind::thread || conf::is_hosted(pool)) continue;
        if (table == nullptr) return ipc::failure("the seat has no table of pools");
        const auto threads = conf::thread_number(pool);
        auto started = ThreadPool::start({.name = pool.name,
                                          .threads = threads.begin,
                                          .threads_max = threads.max,
                                          .queue = pool.queue,
                                          .queue_timeout = pool.queue_timeout,
                                          .timeout = pool.timeout},
                                         {*table, number, row}, lodging);
        if (!started) return tl::make_unexpected(std::move(started.error()));
        pools.all_.push_back(std::move(*started));
    }
    return pools;
}

ThreadPool* ThreadPools::find(std::string_view name) const noexcept {
    const auto found =
        std::find_if(all_.begin(), all_.end(), [&](const auto& pool) { return pool->name() == name; });
    return found == all_.end() ? nullptr : found->get();
}

}  // namespace worker::execution
