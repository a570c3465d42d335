// worker/handler/async_route.h: `async = QUEUE`: requests that need no answer now become jobs (RFC 7240).
#pragma once

#include <memory>

#include "worker/handler/job_making.h"
#include "worker/handler/job_source.h"
#include "worker/http/prefer.h"
#include "worker/jobs/watching.h"

namespace worker::handler {

/// Around the handler of a route: those with `Prefer: respond-async` become jobs, where they can; all others
/// are the handler's. A preference may be left aside, so what could not be kept as it is, or may not, is
/// answered when it is done. One a route and loop.
class AsyncRoute final : public http::Handler {
 public:
    /// `source` is `handler`. All others must outlive it; see `KeeperRoute`.
    AsyncRoute(const conf::Config& config, const conf::Route& route, const conf::Queue& queue,
               std::unique_ptr<http::Handler> handler, JobSource& source, jobs::BodyRoom& room,
               jobs::Keeping& keeping, jobs::Watching& watching, execution::Loop& loop);
    ~AsyncRoute() override;

    void handle(http::Exchange& exchange) override;
    [[nodiscard]] bool streams() const override { return true; }

 private:
    class Desk;

    [[nodiscard]] bool may_wait(const http::Exchange& exchange) const;

    const conf::Route& route_;
    const conf::Queue& queue_;
    std::unique_ptr<http::Handler> handler_;
    JobSource& source_;
    std::unique_ptr<Desk> desk_;
};

}  // namespace worker::handler
