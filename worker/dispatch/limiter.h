// worker/dispatch/limiter.h: `limit_rate` and `limit_conn`: whether a request may go on, by what all workers
// count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "ipc/count_table.h"
#include "ipc/rate_table.h"
#include "ipc/seat.h"
#include "worker/execution/clock.h"
#include "worker/http/exchange.h"

namespace worker::dispatch {

/// One a loop. What it counts in is shared memory; see the tables for what that promises.
class Limiter {
 public:
    /// All must outlive it.
    Limiter(const conf::Config& config, const ipc::Desk& desk, const execution::Clock& clock);

    /// By the limits of the exchange's route: none, and then `exchange.counted` may owe a `leave`; or in how
    /// many seconds to try again.
    [[nodiscard]] std::optional<std::uint64_t> admit(http::Exchange& exchange);
    void leave(const http::Exchange& exchange);

 private:
    [[nodiscard]] std::uint64_t key_of(const http::Exchange& exchange, const conf::LimitKey& key,
                                       std::string_view limit);
    [[nodiscard]] ipc::RouteCell& cell_of(const http::Exchange& exchange) const;

    const conf::Config& config_;
    const ipc::Scoreboard& board_;
    ipc::WorkerCell& own_;
    std::uint32_t row_;
    std::uint64_t seed_;
    ipc::RateTable rates_;
    ipc::CountTable counts_;
    const execution::Clock& clock_;
    std::vector<std::uint32_t> routes_;  ///< of the scoreboard, by the configuration's
    std::string room_;
};

}  // namespace worker::dispatch
