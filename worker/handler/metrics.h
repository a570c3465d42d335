// worker/handler/metrics.h: `metrics = on`: the scoreboard for Prometheus.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/scoreboard.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// Text format 0.0.4. Everything comes from memory that all workers share, so each answers the same;
/// counters go on over crashes, reloads and upgrades.
class Metrics final : public http::Handler {
 public:
    /// `scoreboard` must outlive it.
    explicit Metrics(const ipc::Scoreboard& scoreboard) : scoreboard_(scoreboard) {}
    void handle(http::Exchange& exchange) override;

 private:
    const ipc::Scoreboard& scoreboard_;
};

/// `now_us`: CLOCK_MONOTONIC; `now_unix_us`: the same moment since the epoch.
[[nodiscard]] std::string metrics_text(const ipc::Scoreboard& board, std::uint64_t now_us,
                                       std::int64_t now_unix_us);

}  // namespace worker::handler
