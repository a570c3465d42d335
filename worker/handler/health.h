// worker/handler/health.h: `health = live | ready`: what a balancer asks.
#pragma once

#include <atomic>
#include <string>

#include "conf/config.h"
#include "ipc/jobs_cells.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// `live`: this loop turns. `ready`: it also wants new work; 503 from the moment a drain is announced. While
/// jobs cannot be stored it is 200 yet, as all other routes go on, and says `degraded`.
class Health final : public http::Handler {
 public:
    /// Both must outlive it. `jobs`: null where there are no queues.
    Health(conf::Health kind, const std::atomic<bool>& ready, const ipc::JobsCell* jobs)
        : kind_(kind), ready_(ready), jobs_(jobs) {}

    void handle(http::Exchange& exchange) override;

 private:
    conf::Health kind_;
    const std::atomic<bool>& ready_;
    const ipc::JobsCell* jobs_;
};

}  // namespace worker::handler
