#include "worker/handler/make_handlers.h"

#include <algorithm>
#include <cstdlib>

#include "worker/handler/fanout.h"
#include "worker/handler/fastcgi.h"
#include "worker/handler/files.h"
#include "worker/handler/health.h"
#include "worker/handler/metrics.h"
#include "worker/handler/pool.h"
#include "worker/handler/proxy.h"
#include "worker/handler/respond.h"

namespace worker::handler {
namespace {

std::unique_ptr<http::Handler> make(const conf::Route& route, std::uint32_t index,
                                    const Surroundings& around) {
    const execution::Clock& clock = around.loop.clock();
    const Facts& facts = around.about.facts;
    switch (route.handler) {
        case conf::Route::Handler::files:
            return std::make_unique<Files>(route, index, around.files, around.config.execution, clock);
        case conf::Route::Handler::respond: return std::make_unique<Respond>(route.respond, facts, clock);
        case conf::Route::Handler::redirect: return std::make_unique<Redirect>(route.redirect, facts, clock);
        case conf::Route::Handler::proxy:
            return std::make_unique<Proxy>(route, around.upstreams, around.buffers, facts, around.loop);
        case conf::Route::Handler::fanout:
            return std::make_unique<Fanout>(route, around.upstreams, facts, around.loop);
        case conf::Route::Handler::fastcgi:
            return std::make_unique<Fastcgi>(route, around.upstreams, facts, around.loop);
        case conf::Route::Handler::pool: {
            const auto& pools = around.config.pools;
            const auto pool = std::find_if(pools.begin(), pools.end(),
                                           [&](const conf::Pool& one) { return one.name == route.pool; });
            return std::make_unique<PoolRoute>(
                route, *pool, around.upstreams,
                around.queues.of(static_cast<std::size_t>(pool - pools.begin())), facts, around.loop);
        }
        case conf::Route::Handler::health: return std::make_unique<Health>(route.health, around.ready);
        case conf::Route::Handler::status:
            return std::make_unique<Status>(around.about, around.scoreboard, around.pools, clock);
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

}  // namespace worker::handler
