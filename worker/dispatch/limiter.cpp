#include "worker/dispatch/limiter.h"

#include "ipc/keyed_hash.h"
#include "worker/http/host.h"

namespace worker::dispatch {
namespace {

constexpr std::uint64_t busy_again_seconds = 1;  // nobody knows when a request will end

}  // namespace

Limiter::Limiter(const conf::Config& config, const ipc::Desk& desk, const execution::Clock& clock)
    : config_(config),
      board_(*desk.scoreboard),
      own_(*desk.cell),
      row_(desk.scoreboard->index_of(*desk.cell)),
      seed_(desk.scoreboard->seed()),
      rates_(desk.scoreboard->rates()),
      counts_(desk.scoreboard->counts()),
      clock_(clock) {
    for (const conf::Route& route : config.routes) routes_.push_back(desk.scoreboard->route(route.name));
}

std::optional<std::uint64_t> Limiter::admit(http::Exchange& exchange) {
    const conf::Route& route = *exchange.route;
    if (route.limit_conn) {
        const std::uint64_t key = key_of(exchange, route.limit_conn->key, "conn");
        switch (counts_.enter(row_, board_.rows_used(), key, route.limit_conn->max)) {
            case ipc::CountTable::Entry::counted: exchange.counted = key; break;
            case ipc::CountTable::Entry::uncounted: break;
            case ipc::CountTable::Entry::refused:
                cell_of(exchange).conn_limited.add();
                return busy_again_seconds;
        }
    }
    if (!route.limit_rate) return std::nullopt;
    const conf::RateLimit& limit = *route.limit_rate;
    const auto decision = rates_.take(key_of(exchange, limit.key, "rate"),
                                      ipc::Rate::of(limit.requests, limit.per, limit.burst), clock_.now_us());
    if (decision.allowed) return std::nullopt;
    cell_of(exchange).rate_limited.add();
    return (decision.retry_after_us + 999'999) / 1'000'000;
}

void Limiter::leave(const http::Exchange& exchange) { counts_.leave(row_, *exchange.counted); }

/// The same value under two routes is counted apart.
std::uint64_t Limiter::key_of(const http::Exchange& exchange, const conf::LimitKey& key,
                              std::string_view limit) {
    const http::Request& request = exchange.request;
    connection::Peer::Text text{};
    room_.assign(exchange.route->name).append("/").append(limit);
    std::string_view value;
    switch (key.kind) {
        case conf::LimitKey::Kind::remote_addr: value = exchange.peer.text(text); break;
        case conf::LimitKey::Kind::server_name: value = exchange.server->name; break;
        case conf::LimitKey::Kind::host: value = request.host; break;
        case conf::LimitKey::Kind::uri: value = request.target.path; break;
        case conf::LimitKey::Kind::header:
            for (const http::Field& field : request.fields)
                if (http::equals_ignore_case(request.view(field.name), key.header)) {
                    value = request.view(field.value);
                    break;
                }
            break;
    }
    return ipc::rate_key(seed_, room_, value);
}

ipc::RouteCell& Limiter::cell_of(const http::Exchange& exchange) const {
    return own_.routes[routes_[static_cast<std::size_t>(exchange.route - config_.routes.data())]];
}

}  // namespace worker::dispatch
