// worker/handler/enqueue.h: `enqueue = QUEUE`: a request becomes a job, and 202 means that it will run.
#pragma once

#include <string>

#include "worker/handler/keeper_route.h"
#include "worker/jobs/job_ids.h"

namespace worker::handler {

/// One a route and loop. Nothing is answered 202 before the keeper has said that the job is stored.
class EnqueueRoute final : public KeeperRoute {
 public:
    /// All must outlive it; see `KeeperRoute`.
    EnqueueRoute(const conf::Config& config, const conf::Route& route, const conf::Queue& queue,
                 jobs::BodyRoom& room, jobs::Keeping& keeping, execution::Loop& loop);

 private:
    void begin(Visit& visit) override;
    void on_stored(Visit& visit, const jobs::Enqueue& enqueue);

    const conf::Queue& queue_;
    std::string jobs_path_;  ///< where a job's name follows; empty: nobody tells of jobs
    jobs::JobIds ids_;
};

}  // namespace worker::handler
