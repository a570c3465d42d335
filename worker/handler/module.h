// worker/handler/module.h: `module`: requests are answered by a coroutine of a module, on the loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/execution/loop.h"
#include "worker/execution/pool_queue.h"
#include "worker/handler/module_enqueue.h"
#include "worker/handler/module_work.h"
#include "worker/http/exchange.h"
#include "worker/jobs/keeping.h"
#include "worker/module/reeve.h"
#include "worker/upstream/upstream.h"

namespace worker::handler {

class ModuleVisit;

/// One a route and loop.
class ModuleRoute final : public http::Handler {
 public:
    /// What handlers may ask for, of this loop.
    struct Rooms {
        const conf::Config& config;
        upstream::Upstreams& upstreams;
        execution::PoolQueues& queues;
        const execution::ThreadPools& thread_pools;
        execution::ThreadDesk& thread_desk;
        jobs::Keeping* keeping;  ///< null: there are no queues. Answers no more when the route goes
        execution::Loop& loop;
    };
    /// All must outlive it.
    ModuleRoute(const conf::Route& route, const reeve::Setup::NamedHandler& handler, const Rooms& rooms);
    ~ModuleRoute() override;

    void handle(http::Exchange& exchange) override;
    [[nodiscard]] bool streams() const override { return true; }

    // For what is under way.

    [[nodiscard]] const conf::Route& route() const noexcept { return route_; }
    [[nodiscard]] const reeve::Setup::NamedHandler& handler() const noexcept { return handler_; }
    /// As `ipc::InFlight` has it.
    [[nodiscard]] const std::string& code() const noexcept { return code_; }
    [[nodiscard]] const Rooms& rooms() const noexcept { return rooms_; }
    [[nodiscard]] execution::Loop& loop() const noexcept { return rooms_.loop; }
    /// Null: there is no such pool, or it does not compute.
    [[nodiscard]] ComputePool* compute_pool(std::string_view name);
    /// Of who asks for jobs: for as long as that is there, its answers come.
    [[nodiscard]] JobsAsked& jobs_asked() noexcept { return jobs_asked_; }
    /// They are over; may still be on the stack.
    void retire(std::unique_ptr<ModuleWork> work);
    void retire(std::unique_ptr<ModuleVisit> visit);
    /// Of a request that its handler did not answer; at most ten a second.
    void log_failure(const http::Exchange& exchange, http::Status status, std::string_view why);

 private:
    void clear_later();

    const conf::Route& route_;
    const reeve::Setup::NamedHandler& handler_;
    std::string code_;
    Rooms rooms_;
    std::vector<std::unique_ptr<ComputePool>> pools_;
    JobsAsked jobs_asked_;
    std::vector<std::unique_ptr<ModuleWork>> work_over_;
    std::vector<std::unique_ptr<ModuleVisit>> visits_over_;
    std::uint64_t told_us_ = 0, untold_ = 0;
};

}  // namespace worker::handler
