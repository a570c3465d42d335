// worker/handler/proxy.h: `proxy`: passes a request on to an upstream, and the response back, as they come.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "conf/config.h"
#include "worker/connection/buffers.h"
#include "worker/execution/loop.h"
#include "worker/handler/job_source.h"
#include "worker/handler/peer_request.h"
#include "worker/handler/peer_response.h"
#include "worker/http/exchange.h"
#include "worker/upstream/upstream.h"

namespace worker::handler {

class Passing;

/// One a route and loop. Owns what is under way, and keeps some for later.
class Proxy final : public http::Handler, public JobSource {
 public:
    /// All must outlive it.
    Proxy(const conf::Route& route, upstream::Upstreams& upstreams, connection::Buffers& buffers,
          const Facts& facts, execution::Loop& loop);
    ~Proxy() override;

    void handle(http::Exchange& exchange) override;
    [[nodiscard]] bool streams() const override { return true; }
    [[nodiscard]] std::optional<jobs::StoredRequest> as_job(const http::Exchange& exchange) override;

    // For what is under way.

    [[nodiscard]] const conf::Route& route() const noexcept { return route_; }
    [[nodiscard]] upstream::Upstreams& upstreams() noexcept { return upstreams_; }
    [[nodiscard]] upstream::Upstream& upstream() noexcept { return upstream_; }
    [[nodiscard]] connection::Buffers& buffers() noexcept { return buffers_; }
    [[nodiscard]] PeerRequest& request() noexcept { return request_; }
    [[nodiscard]] const PeerResponse& response() const noexcept { return response_; }
    /// Leave to ask, by the breaker; none: it has been refused.
    [[nodiscard]] std::optional<ipc::Ticket> admit(http::Exchange& exchange);
    /// 502, 503 or 504 of our own, or what stands in for it.
    void refuse(http::Exchange& exchange, http::Status status, std::string_view reason);
    [[nodiscard]] std::uint64_t key(const http::Exchange& exchange);
    void log_failure(const http::Exchange& exchange, std::string_view reason, std::string_view asked);
    /// Of a request whose body found no room.
    void log_no_room(const http::Exchange& exchange, std::string_view reason);
    /// It is over; may still be on the stack.
    void take_back(Passing& passing);

 private:
    [[nodiscard]] std::unique_ptr<Passing> borrow();
    /// Whether a line may be written now; counted where not.
    [[nodiscard]] bool may_tell();

    const conf::Route& route_;
    upstream::Upstreams& upstreams_;
    connection::Buffers& buffers_;
    upstream::Upstream& upstream_;
    Facts facts_;
    execution::Loop& loop_;
    PeerRequest request_;
    PeerResponse response_;
    TextTemplate key_;
    std::string key_room_;
    std::vector<std::unique_ptr<Passing>> spare_;
    std::vector<std::unique_ptr<Passing>> leaving_;
    std::uint64_t told_us_ = 0, untold_ = 0;
};

}  // namespace worker::handler
