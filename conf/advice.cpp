#include "conf/check.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "conf/units.h"

namespace conf {
namespace {

void advise_server(const Server& server, const Section* origin, const Config& config, Report& report) {
    const auto& limits = server.limits;
    if (limits.body_max == 0)
        report.advise(place_of(origin, "body_max"), "body_max: request bodies have no bound");
    if (limits.uri_max > limits.header_max)
        report.advise(place_of(origin, "uri_max"),
                      fmt::format("uri_max: never reached, header_max ends a header at {}",
                                  print_size(limits.header_max)));
    const bool reached = std::any_of(config.routes.begin(), config.routes.end(), [&](const Route& route) {
        return route.servers.empty() ||
               std::find(route.servers.begin(), route.servers.end(), server.name) != route.servers.end();
    });
    if (!reached)
        report.advise(
            origin == nullptr ? Place{} : origin->place,
            fmt::format("no route leads to [server {}]: every request is answered 404", server.name));
}

/// A socket on every address of the machine takes what is meant for one of them, or fails to bind beside it.
void advise_overlap(const Config& config, const Origins& origins, Report& report) {
    const auto is_any = [](const Address& address) {
        return address.host == "0.0.0.0" || address.host == "::";
    };
    std::vector<const Address*> any;
    for (const auto& server : config.servers)
        for (const auto& listen : server.listen)
            if (is_any(listen.address)) any.push_back(&listen.address);
    for (std::size_t i = 0; i < origins.servers.size(); ++i) {
        for (std::size_t n = 0; n < config.servers[i].listen.size(); ++n) {
            const auto& address = config.servers[i].listen[n].address;
            const auto covers = [&](const Address* wide) {
                return wide->family == address.family && wide->port == address.port;
            };
            const auto wide = std::find_if(any.begin(), any.end(), covers);
            if (!is_any(address) && wide != any.end())
                report.advise(place_of(origins.servers[i], "listen", n),
                              fmt::format("listen: {} is part of {}, which another line binds",
                                          address.text(), (*wide)->text()));
        }
    }
}

void advise_route(const Route& route, const Section* origin, Report& report) {
    if (route.limits.body_max == 0u)
        report.advise(place_of(origin, "body_max"), "body_max: request bodies have no bound");
    if (route.work.query)
        report.advise(place_of(origin, "work_query"),
                      "work_query: whoever reaches this route can keep the server busy");
    if (route.handler == Route::Handler::files && route.files.root == "/")
        report.advise(place_of(origin, "files"), "files: serves the whole file system");
    if (route.handler == Route::Handler::files && route.files.expires && !route.files.cache_control.empty())
        report.advise(place_of(origin, "expires"),
                      "expires: cache_control is set too, and is what caches go by");
}

bool asks_upstreams(const Route& route) {
    return route.handler == Route::Handler::proxy || route.handler == Route::Handler::fanout ||
           route.handler == Route::Handler::fastcgi;
}

bool is_used(const Config& config, const std::string& upstream) {
    if (std::any_of(config.queues.begin(), config.queues.end(), [&](const Queue& queue) {
            return queue.upstream.name == upstream || queue.callbacks.upstream == upstream;
        }))
        return true;
    return std::any_of(config.routes.begin(), config.routes.end(), [&](const Route& route) {
        if (route.handler == Route::Handler::module) return true;  // names upstreams in its code
        const auto& parts = route.fanout.parts;
        const bool passes =
            route.handler == Route::Handler::proxy || route.handler == Route::Handler::fastcgi;
        return (passes && route.proxy.upstream == upstream) ||
               (route.handler == Route::Handler::fanout &&
                std::any_of(parts.begin(), parts.end(),
                            [&](const FanoutPart& part) { return part.upstream == upstream; }));
    });
}

void advise_upstream(const Upstream& upstream, const Section* origin, const Config& config, Report& report) {
    if (!is_used(config, upstream.name))
        report.advise(origin->place, fmt::format("no route leads to {}", origin->text()));
    const auto& breaker = upstream.breaker;
    if (breaker.failures == 0 && breaker.failure_percent == 0 && breaker.slow_percent == 0)
        report.advise(origin->place,
                      "breaker_failures: there is no breaker; while every peer fails, each request "
                      "waits for its time-outs");
    if (std::all_of(upstream.peers.begin(), upstream.peers.end(),
                    [](const UpstreamPeer& peer) { return peer.down; }))
        report.advise(origin->place, "peer: all of them are down");
    if (!upstream.resolver.servers.empty() &&
        std::none_of(upstream.peers.begin(), upstream.peers.end(),
                     [](const UpstreamPeer& peer) { return peer.is_name(); }))
        report.advise(origin->place, "resolver: no peer is a name, and nobody is asked");
    if (upstream.slow_start.count() > 0 && upstream.health.how == HealthCheck::How::off)
        report.advise(origin->place, "slow_start: without health no peer is ever known to be up again");
    std::size_t up = 0;  // at most
    for (const UpstreamPeer& peer : upstream.peers)
        if (!peer.down) up += peer.is_name() ? peer.peers_max : 1;
    if (upstream.hedge.on && up == 1)
        report.advise(place_of(origin, "hedge"),
                      "hedge: there is one peer only; a second copy of a call has nowhere to go");
}

void advise_cgi(const Route& route, const Section* origin, const Config& config, Report& report) {
    if (route.cgi.script_root == "/")
        report.advise(place_of(origin, "script_root"), "script_root: is all files");
    for (const auto& other : config.routes)
        if (other.handler == Route::Handler::files && !route.cgi.internal_files.empty() &&
            other.files.root == route.cgi.internal_files)
            report.advise(
                place_of(origin, "internal_files"),
                fmt::format("internal_files: [route {}] serves the same folder to everybody", other.name));
}

/// What may wait long, and nothing bounds.
void advise_passing(const Route& route, const Section* origin, Report& report) {
    const auto& proxy = route.proxy;
    if (route.handler == Route::Handler::fanout && route.fanout.deadline.count() == 0 &&
        proxy.timeout.count() == 0)
        report.advise(place_of(origin, "fanout"),
                      "deadline: there is none; the slowest part decides when the answer comes");
    if (proxy.timeout.count() > 0 && proxy.timeout < proxy.connect_timeout)
        report.advise(
            place_of(origin, "timeout"),
            fmt::format("timeout: is over before connect_timeout, {}: a dead peer is never told from a slow "
                        "one",
                        print_time(proxy.connect_timeout)));
}

/// What one body may have, and all of them together, and what clients may send.
void advise_buffers(const Route& route, const Section* origin, const Config& config, Report& report) {
    const auto& proxy = route.proxy;
    if (route.handler != Route::Handler::proxy && route.handler != Route::Handler::fastcgi &&
        route.handler != Route::Handler::pool)
        return;
    const bool spills = proxy.buffer_request == Buffering::file || proxy.buffer_response == Buffering::file;
    if (spills && proxy.buffer_file_max > config.execution.buffer_file_total)
        report.advise(place_of(origin, "buffer_file_max"),
                      fmt::format("buffer_file_max: is more than buffer_file_total, {}, has for all",
                                  print_size(config.execution.buffer_file_total)));
    if (proxy.buffer_request == Buffering::off) return;
    const std::uint64_t room =
        proxy.buffer_memory + (proxy.buffer_request == Buffering::file ? proxy.buffer_file_max : 0);
    for (const auto& server : config.servers) {
        if (!route.servers.empty() &&
            std::find(route.servers.begin(), route.servers.end(), server.name) == route.servers.end())
            continue;
        const auto body_max = route.limits.body_max.value_or(server.limits.body_max);
        if (body_max != 0 && body_max <= room) continue;
        return report.advise(
            place_of(origin, "buffer_request"),
            fmt::format("buffer_request: bodies beyond {} are refused, though body_max lets {} through",
                        print_size(room), body_max == 0 ? "any" : print_size(body_max)));
    }
}

}  // namespace

void advise(const Config& config, const Origins& origins, unsigned cores, Report& report) {
    advise_execution(config, origins, cores, report);
    for (std::size_t i = 0; i < config.servers.size(); ++i)
        advise_server(config.servers[i], i < origins.servers.size() ? origins.servers[i] : nullptr, config,
                      report);
    advise_overlap(config, origins, report);
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        advise_route(config.routes[i], origins.routes.at(i), report);
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        if (asks_upstreams(config.routes[i])) advise_passing(config.routes[i], origins.routes.at(i), report);
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        advise_buffers(config.routes[i], origins.routes.at(i), config, report);
    for (std::size_t i = 0; i < config.routes.size(); ++i)
        if (config.routes[i].handler == Route::Handler::fastcgi ||
            config.routes[i].handler == Route::Handler::pool)
            advise_cgi(config.routes[i], origins.routes.at(i), config, report);
    for (std::size_t i = 0; i < config.upstreams.size(); ++i)
        advise_upstream(config.upstreams[i], origins.upstreams.at(i), config, report);
    advise_pools(config, origins, report);
    advise_modules(config, origins, report);
    advise_queues(config, origins, report);
    advise_schedules(config, origins, report);
    if (config.reeve.drain_delay >= config.reeve.shutdown_timeout)
        report.advise(place_of(origins.reeve, "drain_delay"),
                      fmt::format("drain_delay: leaves a drain no time, shutdown_timeout is {}",
                                  print_time(config.reeve.shutdown_timeout)));
}

}  // namespace conf
