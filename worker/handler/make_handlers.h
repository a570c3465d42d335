// worker/handler/make_handlers.h: one handler a route of the configuration.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "conf/config.h"
#include "worker/connection/buffers.h"
#include "worker/execution/pool_queue.h"
#include "worker/execution/thread_pools.h"
#include "worker/handler/file_cache.h"
#include "worker/handler/status.h"
#include "worker/http/exchange.h"
#include "worker/jobs/keeper_client.h"
#include "worker/module/loader.h"
#include "worker/upstream/upstream.h"

namespace worker::handler {

/// What handlers need of the loop they run on; all of it outlives them.
struct Surroundings {
    const conf::Config& config;
    execution::Loop& loop;
    FileCache& files;
    connection::Buffers& buffers;
    upstream::Upstreams& upstreams;
    const ipc::Scoreboard& scoreboard;
    const ipc::PoolTable* pools;  ///< null: there are none
    execution::PoolQueues& queues;
    const execution::ThreadPools& thread_pools;
    execution::ThreadDesk& thread_desk;
    jobs::KeeperClient* keeping;     ///< where jobs go; null: there are no queues
    const module::Modules& modules;  ///< all that routes name
    Status::About about;
    const std::atomic<bool>& ready;
};

/// In the order of `config.routes`.
[[nodiscard]] std::vector<std::unique_ptr<http::Handler>> make_handlers(const Surroundings& surroundings);

/// Whether the handler of that route fills its response and finishes before it returns, from nothing but
/// files and texts, and so may run on a thread. What people who look after the server ask for stays on the
/// loop: it is to be answered also when all threads are at work.
[[nodiscard]] bool answers_in_one_go(const conf::Route& route);
/// Such a handler, for a thread with files of its own.
[[nodiscard]] std::unique_ptr<http::Handler> make_local_handler(const conf::Route& route, std::uint32_t index,
                                                                const conf::Config& config,
                                                                execution::Loop& loop, FileCache& files,
                                                                const Facts& facts);

}  // namespace worker::handler
