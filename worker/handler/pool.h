// worker/handler/pool.h: `pool`: gives requests to the processes of a pool, each to one that has no other.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "worker/execution/pool_queue.h"
#include "worker/handler/cgi_passing.h"
#include "worker/handler/job_source.h"

namespace worker::handler {

/// One a route and loop. Owns what is under way, and keeps some for later.
class PoolRoute final : public http::Handler, public JobSource {
 public:
    /// All must outlive it; `queue` is that of the route's pool.
    PoolRoute(const conf::Route& route, const conf::Pool& pool, upstream::Upstreams& upstreams,
              connection::Buffers& buffers, execution::PoolQueue& queue, const Facts& facts,
              execution::Loop& loop);
    ~PoolRoute() override;

    void handle(http::Exchange& exchange) override;
    [[nodiscard]] bool streams() const override { return true; }
    [[nodiscard]] std::optional<jobs::StoredRequest> as_job(const http::Exchange& exchange) override;

 private:
    class Task;

    /// As the route, but that a pool has its own times, and nobody else is asked.
    [[nodiscard]] static conf::Route terms_of(const conf::Route& route);
    void log_failure(Task& task, const upstream::Failure& failure);
    void take_back(Task& task);

    const conf::Route route_;
    const conf::Pool& pool_;
    const conf::Upstream members_;  ///< each a peer, in order
    execution::PoolQueue& queue_;
    CgiRoute shared_;
    upstream::Upstream upstream_;
    std::vector<std::unique_ptr<Task>> spare_;
    std::vector<std::unique_ptr<Task>> leaving_;
    std::uint64_t told_us_ = 0, untold_ = 0;
};

}  // namespace worker::handler
