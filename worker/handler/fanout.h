// worker/handler/fanout.h: `fanout`: asks several upstreams at once and makes one answer of what comes in
// time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "conf/config.h"
#include "worker/execution/loop.h"
#include "worker/handler/merge.h"
#include "worker/handler/peer_request.h"
#include "worker/http/exchange.h"
#include "worker/upstream/upstream.h"

namespace worker::handler {

class Gathering;

/// One a route and loop. Owns what is under way, and keeps some for later.
class Fanout final : public http::Handler {
 public:
    /// All must outlive it.
    Fanout(const conf::Route& route, upstream::Upstreams& upstreams, const Facts& facts,
           execution::Loop& loop);
    ~Fanout() override;

    void handle(http::Exchange& exchange) override;
    [[nodiscard]] bool streams() const override { return true; }

    // For what is under way.

    [[nodiscard]] const conf::Route& route() const noexcept { return route_; }
    [[nodiscard]] upstream::Upstreams& upstreams() noexcept { return upstreams_; }
    [[nodiscard]] const std::vector<upstream::Upstream*>& parts() const noexcept { return parts_; }
    [[nodiscard]] PeerRequest& request() noexcept { return request_; }
    [[nodiscard]] execution::Loop& loop() noexcept { return loop_; }
    [[nodiscard]] const MergeRules& rules() const noexcept { return rules_; }
    /// The key of `balance = hash`, for the upstream of that part.
    [[nodiscard]] std::uint64_t key(std::size_t part, const http::Exchange& exchange);
    /// It is over; may still be on the stack.
    void take_back(Gathering& gathering);

 private:
    const conf::Route& route_;
    upstream::Upstreams& upstreams_;
    std::vector<upstream::Upstream*> parts_;
    std::vector<TextTemplate> keys_;
    std::string key_room_;
    Facts facts_;
    execution::Loop& loop_;
    PeerRequest request_;
    MergeRules rules_;
    std::vector<std::unique_ptr<Gathering>> spare_, leaving_;
};

}  // namespace worker::handler
