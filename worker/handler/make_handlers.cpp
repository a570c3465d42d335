#include "worker/handler/make_handlers.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "worker/handler/async_route.h"
#include "worker/handler/enqueue.h"
#include "worker/handler/fanout.h"
#include "worker/handler/fastcgi.h"
#include "worker/handler/files.h"
#include "worker/handler/health.h"
#include "worker/handler/jobs.h"
#include "worker/handler/metrics.h"
#include "worker/handler/module.h"
#include "worker/handler/pool.h"
#include "worker/handler/proxy.h"
#include "worker/handler/respond.h"
#include "worker/handler/thread_work.h"
#include "worker/handler/work.h"

namespace worker::handler {
namespace {

const conf::Queue& queue_named(const conf::Config& config, const std::string& name) {
    return *std::find_if(config.queues.begin(), config.queues.end(),
                         [&](const conf::Queue& one) { return one.name == name; });
}

/// As it is, or with a queue for what may wait.
template <class Source>
std::unique_ptr<http::Handler> with_async(std::unique_ptr<Source> handler, const conf::Route& route,
                                          const Surroundings& around) {
    if (route.async.queue.empty()) return handler;
    JobSource& source = *handler;
    return std::make_unique<AsyncRoute>(around.config, route, queue_named(around.config, route.async.queue),
                                        std::move(handler), source, around.keeping->bodies(), *around.keeping,
                                        *around.keeping, around.loop);
}

/// Gives requests to the pool of that name.
std::unique_ptr<http::Handler> make_pool_route(const conf::Route& route, const std::string& name,
                                               const Surroundings& around) {
    const auto& pools = around.config.pools;
    const auto pool =
        std::find_if(pools.begin(), pools.end(), [&](const conf::Pool& one) { return one.name == name; });
    return with_async(
        std::make_unique<PoolRoute>(route, *pool, around.upstreams, around.buffers,
                                    around.queues.of(static_cast<std::size_t>(pool - pools.begin())),
                                    around.about.facts, around.loop),
        route, around);
}

std::unique_ptr<http::Handler> make_enqueue_route(const conf::Route& route, const Surroundings& around) {
    return std::make_unique<EnqueueRoute>(around.config, route, queue_named(around.config, route.enqueue),
                                          around.keeping->bodies(), *around.keeping, around.loop);
}

std::unique_ptr<http::Handler> make(const conf::Route& route, std::uint32_t index,
                                    const Surroundings& around) {
    const execution::Clock& clock = around.loop.clock();
    const Facts& facts = around.about.facts;
    switch (route.handler) {
        case conf::Route::Handler::files: {
            auto files = std::make_unique<Files>(route, index, around.files, around.config.execution, clock);
            if (auto* const pool = around.thread_pools.find(route.files.open_pool))
                files->open_in(*pool, around.thread_desk, around.loop);
            return files;
        }
        case conf::Route::Handler::respond:
        case conf::Route::Handler::redirect:
            return make_local_handler(route, index, around.config, around.loop, around.files, facts);
        case conf::Route::Handler::proxy:
            return with_async(
                std::make_unique<Proxy>(route, around.upstreams, around.buffers, facts, around.loop), route,
                around);
        case conf::Route::Handler::fanout:
            return std::make_unique<Fanout>(route, around.upstreams, facts, around.loop);
        case conf::Route::Handler::fastcgi:
            return std::make_unique<Fastcgi>(route, around.upstreams, around.buffers, facts, around.loop);
        case conf::Route::Handler::pool: return make_pool_route(route, route.pool, around);
        case conf::Route::Handler::work:
            if (route.work.pool.empty()) return std::make_unique<Work>(route.work);
            if (auto* threads = around.thread_pools.find(route.work.pool))
                return std::make_unique<ThreadWork>(route.work, *threads, around.thread_desk, around.loop);
            return make_pool_route(work_as_task(route), route.work.pool, around);
        case conf::Route::Handler::module: {
            const module::Module* its = around.modules.find(route.module.module);
            const auto* own = its != nullptr ? its->handler(route.module.handler) : nullptr;
            if (own == nullptr) std::abort();  // whoever loads modules looks
            return std::make_unique<ModuleRoute>(
                route, *own,
                ModuleRoute::Rooms{around.config, around.upstreams, around.queues, around.thread_pools,
                                   around.thread_desk, around.keeping, around.loop});
        }
        case conf::Route::Handler::enqueue: return make_enqueue_route(route, around);
        case conf::Route::Handler::jobs:
            return std::make_unique<JobsRoute>(around.config, route, around.keeping->bodies(),
                                               *around.keeping, *around.keeping, around.loop,
                                               around.scoreboard);
        case conf::Route::Handler::health:
            return std::make_unique<Health>(
                route.health, around.ready,
                around.config.queues.empty() ? nullptr : &around.scoreboard.jobs());
        case conf::Route::Handler::status:
            return std::make_unique<Status>(around.about, around.scoreboard, around.pools,
                                            !around.config.queues.empty(), clock);
        case conf::Route::Handler::metrics: return std::make_unique<Metrics>(around.scoreboard, around.pools);
    }
    std::abort();
}

}  // namespace

std::vector<std::unique_ptr<http::Handler>> make_handlers(const Surroundings& surroundings) {
    std::vector<std::unique_ptr<http::Handler>> handlers;
    for (const conf::Route& route : surroundings.config.routes)
        handlers.push_back(make(route, static_cast<std::uint32_t>(handlers.size()), surroundings));
    return handlers;
}

bool answers_in_one_go(const conf::Route& route) {
    switch (route.handler) {
        case conf::Route::Handler::files: return route.files.open_pool.empty();
        case conf::Route::Handler::respond:
        case conf::Route::Handler::redirect: return true;
        case conf::Route::Handler::work: return route.work.pool.empty();
        case conf::Route::Handler::proxy:
        case conf::Route::Handler::fanout:
        case conf::Route::Handler::fastcgi:
        case conf::Route::Handler::pool:
        case conf::Route::Handler::module:
        case conf::Route::Handler::enqueue:
        case conf::Route::Handler::jobs:
        case conf::Route::Handler::health:
        case conf::Route::Handler::status:
        case conf::Route::Handler::metrics: return false;
    }
    std::abort();
}

std::unique_ptr<http::Handler> make_local_handler(const conf::Route& route, std::uint32_t index,
                                                  const conf::Config& config, execution::Loop& loop,
                                                  FileCache& files, const Facts& facts) {
    const execution::Clock& clock = loop.clock();
    if (route.handler == conf::Route::Handler::files)
        return std::make_unique<Files>(route, index, files, config.execution, clock);
    if (route.handler == conf::Route::Handler::respond)
        return std::make_unique<Respond>(route.respond, facts, clock);
    if (route.handler == conf::Route::Handler::redirect)
        return std::make_unique<Redirect>(route.redirect, facts, clock);
    if (route.handler == conf::Route::Handler::work) return std::make_unique<Work>(route.work);
    std::abort();
}

}  // namespace worker::handler
