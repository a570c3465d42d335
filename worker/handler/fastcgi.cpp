#include "worker/handler/fastcgi.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "worker/http/host.h"

namespace worker::handler {
namespace {

constexpr std::size_t spare_programs_max = 256;
constexpr std::uint64_t failure_told_every_us = 100'000;  // lines about failures, at most

}  // namespace

Fastcgi::Fastcgi(const conf::Route& route, upstream::Upstreams& upstreams, connection::Buffers& buffers,
                 const Facts& facts, execution::Loop& loop)
    : shared_(route, upstreams, buffers, facts, loop),
      upstream_(upstreams.find(route.proxy.upstream)),
      facts_(facts),
      key_(upstream_.config().balance.key, Escape::none) {}

Fastcgi::~Fastcgi() = default;

void Fastcgi::handle(http::Exchange& exchange) {
    std::unique_ptr<CgiPassing> passing;
    if (spare_.empty()) {
        CgiPeers& self = *this;
        passing = std::make_unique<CgiPassing>(shared_, self);
    } else {
        passing = std::move(spare_.back());
        spare_.pop_back();
    }
    passing.release()->begin(exchange);  // it comes back by `on_over`
}

void Fastcgi::on_ready(CgiPassing& passing) {
    http::Exchange& exchange = passing.exchange();
    const upstream::Admission admission = upstream_.admit();
    if (!admission.admitted()) {
        if (exchange.error == 0 || exchange.fallback)  // else the refusal that the page is for has said when
            exchange.response.add_field("Retry-After", std::to_string(admission.retry_after_seconds));
        return passing.refuse(503, admission.refusal);
    }
    passing.ask({.upstream = upstream_,
                 .ticket = admission.ticket,
                 .key = key(exchange),
                 .bound = upstream_.sticky() != nullptr ? bound_peer(exchange.request) : nullptr,
                 .keep = shared_.route.cgi.keep});
}

std::uint64_t Fastcgi::key(const http::Exchange& exchange) {
    if (upstream_.config().balance.how != conf::Balance::How::hash) return 0;
    key_room_.clear();
    key_.append(key_room_, exchange, facts_, shared_.loop.clock());
    return upstream::hash_of(key_room_);
}

upstream::Peer* Fastcgi::bound_peer(const http::Request& request) {
    for (const http::Field& field : request.fields) {
        if (field.known != http::Known::other ||
            !http::equals_ignore_case(request.view(field.name), "cookie"))
            continue;
        if (upstream::Peer* peer = upstream_.bound(request.view(field.value))) return peer;
    }
    return nullptr;
}

void Fastcgi::on_failure(CgiPassing& passing, const upstream::Failure& failure) {
    const std::uint64_t now = shared_.loop.clock().now_us();
    if (told_us_ != 0 && now - told_us_ < failure_told_every_us) {
        ++untold_;
        return;
    }
    spdlog::error(
        "upstream failed route={} upstream={} why={:?} peers={:?} request={:?} id={:?} more_untold={}",
        shared_.route.name, upstream_.name(), failure.reason, passing.call().asked(),
        passing.exchange().request.begin_of_line(), passing.request_id(), untold_);
    told_us_ = now;
    untold_ = 0;
}

void Fastcgi::on_over(CgiPassing& passing) {
    std::unique_ptr<CgiPassing> over(&passing);
    if (spare_.size() < spare_programs_max) return spare_.push_back(std::move(over));
    if (leaving_.empty()) shared_.loop.after_turn([this] { leaving_.clear(); });
    leaving_.push_back(std::move(over));
}

}  // namespace worker::handler
