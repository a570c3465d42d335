// worker/handler/thread_work.h: `work` with `work_pool`, a pool of threads.
#pragma once

#include <memory>
#include <vector>

#include "conf/config.h"
#include "worker/execution/loop.h"
#include "worker/execution/thread_pool.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// One a route and loop: each request is a job of the pool. Loop thread only.
class ThreadWork final : public http::Handler {
 public:
    /// All must outlive it.
    ThreadWork(const conf::Work& work, execution::ThreadPool& pool, execution::ThreadDesk& desk,
               execution::Loop& loop);
    ~ThreadWork() override;

    /// Answered when a thread has done it; 503 where the pool has no room or too little time, 504 where it
    /// takes too long. A client that leaves before it was begun costs no thread.
    void handle(http::Exchange& exchange) override;

 private:
    class Job;
    class Asking;

    void put_aside(Asking& asking);

    conf::Work work_;
    execution::ThreadPool& pool_;
    execution::ThreadDesk& desk_;
    execution::Loop& loop_;
    std::vector<std::unique_ptr<Asking>> asking_;
    std::vector<std::unique_ptr<Asking>> leaving_;  ///< over, and perhaps on the stack
};

}  // namespace worker::handler
