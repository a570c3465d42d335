// worker/handler/job_metrics.h: what the keeper counts of jobs, as metrics.
#pragma once

#include <cstdint>

#include "ipc/scoreboard.h"
#include "worker/handler/metrics_text.h"

namespace worker::handler {

/// Nothing where there never were queues.
void add_job_metrics(MetricsText& text, const ipc::Scoreboard& board, std::int64_t now_unix_us);

}  // namespace worker::handler
