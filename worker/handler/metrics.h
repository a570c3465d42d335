// worker/handler/metrics.h: `metrics = on`: the scoreboard for Prometheus.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/pool_table.h"
#include "ipc/scoreboard.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// Text format 0.0.4. Everything comes from memory that all workers share, so each answers the same;
/// counters go on over crashes, reloads and upgrades, but those of pools begin anew with an upgrade.
class Metrics final : public http::Handler {
 public:
    /// Both must outlive it; `pools`: null where there are none.
    Metrics(const ipc::Scoreboard& scoreboard, const ipc::PoolTable* pools)
        : scoreboard_(scoreboard), pools_(pools) {}
    void handle(http::Exchange& exchange) override;

 private:
    const ipc::Scoreboard& scoreboard_;
    const ipc::PoolTable* pools_;
};

/// `now_us`: CLOCK_MONOTONIC; `now_unix_us`: the same moment since the epoch.
[[nodiscard]] std::string metrics_text(const ipc::Scoreboard& board, std::uint64_t now_us,
                                       std::int64_t now_unix_us, const ipc::PoolTable* pools = nullptr);

}  // namespace worker::handler
