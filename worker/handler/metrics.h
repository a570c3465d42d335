// worker/handler/metrics.h: `metrics = on`: the scoreboard for Prometheus.
#pragma once

#include <string>

#include "ipc/scoreboard.h"
#include "worker/execution/clock.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// Text format 0.0.4. Everything comes from memory that all workers share, so each answers the same;
/// counters go on over crashes, reloads and upgrades.
class Metrics final : public http::Handler {
 public:
    /// Both must outlive it.
    Metrics(const ipc::Scoreboard& scoreboard, const execution::Clock& clock)
        : scoreboard_(scoreboard), clock_(clock) {}
    void handle(http::Exchange& exchange) override;

 private:
    const ipc::Scoreboard& scoreboard_;
    const execution::Clock& clock_;
};

/// `now_ms`: CLOCK_MONOTONIC; `now_unix_ms`: the same moment since the epoch.
[[nodiscard]] std::string metrics_text(const ipc::Scoreboard& board, std::uint64_t now_ms,
                                       std::int64_t now_unix_ms);

}  // namespace worker::handler
