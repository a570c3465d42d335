// worker/handler/make_handlers.h: one handler a route of the configuration.
#pragma once

#include <memory>
#include <vector>

#include "conf/config.h"
#include "worker/connection/buffers.h"
#include "worker/execution/pool_queue.h"
#include "worker/handler/file_cache.h"
#include "worker/handler/status.h"
#include "worker/http/exchange.h"
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
    Status::About about;
    const bool& ready;
};

/// In the order of `config.routes`.
[[nodiscard]] std::vector<std::unique_ptr<http::Handler>> make_handlers(const Surroundings& surroundings);

}  // namespace worker::handler
