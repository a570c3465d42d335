#include "worker/dispatch/dispatcher.h"

#include <algorithm>
#include <utility>

#include "worker/http/host.h"
#include "worker/http/plain_page.h"

namespace worker::dispatch {
namespace {

void add_line(std::string& lines, const conf::Header& header) {
    lines.append(header.name).append(": ").append(header.value).append("\r\n");
}

/// The server's lines, but for those whose name the route sets itself, then the route's.
std::string added_lines(const conf::Server& server, const conf::Route* route) {
    std::string lines;
    const auto replaced = [route](const conf::Header& header) {
        return route != nullptr &&
               std::any_of(route->add_header.begin(), route->add_header.end(),
                           [&](const auto& own) { return http::equals_ignore_case(own.name, header.name); });
    };
    for (const conf::Header& header : server.add_header)
        if (!replaced(header)) add_line(lines, header);
    if (route != nullptr)
        for (const conf::Header& header : route->add_header) add_line(lines, header);
    return lines;
}

std::uint64_t milliseconds(conf::Milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

/// What the route says, else what the server does; `route` may be null.
http::Terms terms_of(const conf::Server& server, const conf::Route* route, std::string_view added_fields) {
    const conf::Limits& limits = server.limits;
    const conf::RouteLimits own = route != nullptr ? route->limits : conf::RouteLimits{};
    return {.added_fields = added_fields,
            .body_max = own.body_max.value_or(limits.body_max),
            .body_timeout_ms = milliseconds(own.body_timeout.value_or(limits.body_timeout)),
            .send_timeout_ms = milliseconds(own.send_timeout.value_or(limits.send_timeout)),
            .keepalive_timeout_ms = milliseconds(own.keepalive_timeout.value_or(limits.keepalive_timeout)),
            .keepalive_requests = own.keepalive_requests.value_or(limits.keepalive_requests)};
}

}  // namespace

Dispatcher::Dispatcher(const conf::Config& config, const std::vector<conf::Listen>& plan,
                       const Router& router, Recorder& recorder, Limiter& limiter, execution::Loop& loop,
                       std::vector<std::unique_ptr<http::Handler>> handlers)
    : config_(config),
      router_(router),
      recorder_(recorder),
      limiter_(limiter),
      loop_(loop),
      handlers_(std::move(handlers)) {
    for (std::uint32_t address = 0; address < plan.size(); ++address)
        limits_.push_back(&config.servers[router.server(address, {}).index].limits);
    for (const conf::Server& server : config.servers) {
        std::vector<http::Terms>& all = terms_.emplace_back();
        const auto add = [&](const conf::Route* route) {
            all.push_back(terms_of(server, route, added_.emplace_back(added_lines(server, route))));
        };
        for (const conf::Route& route : config.routes) add(&route);
        add(nullptr);
    }
}

const conf::Limits& Dispatcher::limits(std::uint32_t address) const { return *limits_[address]; }

bool Dispatcher::route(http::Exchange& exchange) {
    http::Request& request = exchange.request;
    const auto target = http::parse_target(request.method(), request.raw_target(), exchange.path_room);
    if (!target) {
        refuse(exchange, 400);
        return false;
    }
    request.target = *target;
    request.host =
        http::host_name(target->authority.empty() ? request.value(http::Known::host) : target->authority);
    const VirtualServer& server = choose_server(exchange);
    if (target->asterisk) {
        allow(exchange, "GET, HEAD, OPTIONS");
        return false;
    }
    if (request.method() == "TRACE") {  // would echo what only the client should see
        exchange.response.add_field("Allow", "GET, HEAD, OPTIONS");
        refuse(exchange, 405);
        return false;
    }
    const Router::Match match = router_.match(server, target->path, request.method());
    switch (match.kind) {
        case Router::Match::Kind::found:
            exchange.route = &config_.routes[match.route];
            exchange.terms = &terms_[server.index][match.route];
            if (!exchange.route->limit_rate && !exchange.route->limit_conn) return true;
            if (const auto seconds = limiter_.admit(exchange)) {
                exchange.response.add_field("Retry-After", std::to_string(*seconds));
                refuse(exchange, 429);
                return false;
            }
            return true;
        case Router::Match::Kind::none: refuse(exchange, 404); return false;
        case Router::Match::Kind::method: break;
    }
    if (request.method() == "OPTIONS") {
        allow(exchange, match.allow);
    } else {
        exchange.response.add_field("Allow", match.allow);
        refuse(exchange, 405);
    }
    return false;
}

void Dispatcher::handle(http::Exchange& exchange) {
    run(static_cast<std::size_t>(exchange.route - config_.routes.data()), exchange);
}

bool Dispatcher::streams(const http::Exchange& exchange) const {
    return handlers_[static_cast<std::size_t>(exchange.route - config_.routes.data())]->streams();
}

void Dispatcher::run(std::size_t route, http::Exchange& exchange) {
    const execution::Stopwatch stopwatch;
    handlers_[route]->handle(exchange);
    loop_.ran(stopwatch.ticks(), config_.routes[route].name, exchange.request.method(),
              exchange.request.raw_target());
}

const VirtualServer& Dispatcher::choose_server(http::Exchange& exchange) {
    const VirtualServer& server = router_.server(exchange.address, exchange.request.host);
    exchange.server = &config_.servers[server.index];
    exchange.terms = &terms_[server.index].back();
    return server;
}

/// What OPTIONS asks (RFC 9110 9.3.7).
void Dispatcher::allow(http::Exchange& exchange, std::string_view methods) {
    exchange.response.status = 204;
    exchange.response.add_field("Allow", methods);
    exchange.finish();
}

void Dispatcher::refuse(http::Exchange& exchange, http::Status status) {
    if (exchange.server == nullptr) choose_server(exchange);
    if (exchange.error == 0 && (serve_fallback(exchange, status) || serve_error_page(exchange, status)))
        return;
    if (exchange.error != 0 && !exchange.fallback)
        status = exchange.error;  // the page itself is missing: the first error counts
    http::Response& response = exchange.response;
    const http::PlainPage page = http::plain_page(status);
    response.status = status;
    response.fields = page.fields;
    response.body.clear();
    response.body_size = 0;
    response.add_lasting(page.body);
    exchange.finish();
}

const std::string* Dispatcher::error_page(const http::Exchange& exchange, http::Status status) const {
    const auto find = [status](const std::vector<conf::ErrorPage>& pages) -> const std::string* {
        for (const conf::ErrorPage& page : pages)
            if (std::find(page.statuses.begin(), page.statuses.end(), status) != page.statuses.end())
                return &page.target;
        return nullptr;
    };
    const std::string* found = exchange.route != nullptr ? find(exchange.route->error_page) : nullptr;
    return found != nullptr ? found : find(exchange.server->error_page);
}

/// Runs the page's own route under the error's status; `exchange.route` stays the one that was asked for.
bool Dispatcher::serve_error_page(http::Exchange& exchange, http::Status status) {
    const std::string* page = error_page(exchange, status);
    if (page == nullptr) return false;
    exchange.error = status;
    if (serve_instead(exchange, *page)) return true;
    exchange.error = 0;
    return false;
}

/// What a route has for the time when its upstream fails: an answer like any other, with its own status.
bool Dispatcher::serve_fallback(http::Exchange& exchange, http::Status status) {
    if (exchange.fallback || exchange.route == nullptr || exchange.route->fallback.empty()) return false;
    if (exchange.upstream_failure.empty() || status < 502 || status > 504) return false;
    exchange.fallback = true;
    exchange.error = status;
    exchange.response.clear();
    if (serve_instead(exchange, exchange.route->fallback)) return true;
    exchange.fallback = false;
    exchange.error = 0;
    return false;
}

bool Dispatcher::serve_instead(http::Exchange& exchange, std::string_view path) {
    const auto& server = router_.server(exchange.address, exchange.request.host);
    const Router::Match match = router_.match(server, path, "GET");
    if (match.kind != Router::Match::Kind::found) return false;
    exchange.request.target.path = path;
    exchange.request.target.query = {};
    exchange.request.target.has_query = false;
    run(match.route, exchange);
    return true;
}

}  // namespace worker::dispatch
