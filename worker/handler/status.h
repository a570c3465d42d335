// worker/handler/status.h: `status = on`: how the server is, as a page for people and JSON for programs.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/pool_table.h"
#include "ipc/scoreboard.h"
#include "worker/execution/clock.h"
#include "worker/handler/text_template.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// Every worker's counters, read from the scoreboard; JSON for who accepts it over HTML.
class Status final : public http::Handler {
 public:
    /// Of the process as a whole.
    struct About {
        Facts facts;
        std::uint32_t generation = 1;
        std::uint32_t workers = 1;
        std::uint64_t started_ms = 0;  ///< CLOCK_MONOTONIC
        int master_pid = 0;
    };

    /// All must outlive it; `pools`: null where there are none. `queues`: there are some, and a store of
    /// jobs.
    Status(const About& about, const ipc::Scoreboard& scoreboard, const ipc::PoolTable* pools, bool queues,
           const execution::Clock& clock)
        : about_(about), scoreboard_(scoreboard), pools_(pools), queues_(queues), clock_(clock) {}
    void handle(http::Exchange& exchange) override;

 private:
    [[nodiscard]] std::string json() const;

    About about_;
    const ipc::Scoreboard& scoreboard_;
    const ipc::PoolTable* pools_;
    bool queues_;
    const execution::Clock& clock_;
};

}  // namespace worker::handler
