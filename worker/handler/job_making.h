// worker/handler/job_making.h: what makes jobs of requests: `enqueue`, and routes with `async`.
#pragma once

#include <string>
#include <string_view>

#include "worker/handler/keeper_route.h"
#include "worker/jobs/job_ids.h"
#include "worker/jobs/operations.h"

namespace worker::handler {

/// One a route and loop. Nothing is answered 202 before the keeper has said that the job is stored.
class JobMaking : public KeeperRoute {
 public:
    /// All must outlive it; see `KeeperRoute`.
    JobMaking(const conf::Config& config, const conf::Route& route, const conf::Queue& queue,
              jobs::BodyRoom& room, jobs::Keeping& keeping, execution::Loop& loop);

 protected:
    /// What the job with that name is; empty: a plain POST.
    [[nodiscard]] virtual std::string request_of(Visit& visit, const std::string& id) = 0;
    /// It is stored, or was before; the visit's `name` is the job's. Not `same`: the job may be another
    /// request's, which has only its Job-Unique in common with this one.
    virtual void on_made(Visit& visit, jobs::State state, bool same) = 0;

    /// 202: where to look for it.
    void accept(Visit& visit, jobs::State state);
    /// Empty: nobody tells of jobs.
    [[nodiscard]] std::string place_of(std::string_view id) const;
    [[nodiscard]] const conf::Queue& queue() const noexcept { return queue_; }

 private:
    void begin(Visit& visit) final;
    void on_stored(Visit& visit, const jobs::Enqueue& enqueue);

    const conf::Queue& queue_;
    std::string jobs_path_;  ///< where a job's name follows; empty: nobody tells of jobs
    jobs::JobIds ids_;
};

}  // namespace worker::handler
