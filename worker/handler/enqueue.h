// worker/handler/enqueue.h: `enqueue = QUEUE`: a request becomes a job, and 202 means that it will run.
#pragma once

#include <string>

#include "worker/handler/job_making.h"

namespace worker::handler {

/// Its jobs are the bodies of requests, and nothing else of them.
class EnqueueRoute final : public JobMaking {
 public:
    using JobMaking::JobMaking;

 private:
    std::string request_of(Visit&, const std::string&) override { return {}; }
    void on_made(Visit& visit, jobs::State state, bool) override { accept(visit, state); }
};

}  // namespace worker::handler
