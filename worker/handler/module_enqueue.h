// worker/handler/module_enqueue.h: a job that a coroutine of a module asks for.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include <tl/expected.hpp>

#include "conf/queue.h"
#include "worker/handler/module_work.h"
#include "worker/jobs/job_ids.h"
#include "worker/jobs/keeping.h"

namespace worker::handler {

class ModuleEnqueue;

/// All but its name and its trace; what the options do not say is the queue's. `now`: to count from.
[[nodiscard]] tl::expected<jobs::Enqueue, reeve::detail::Refusal> make_job(const conf::Queue& queue,
                                                                           std::string&& body,
                                                                           const reeve::JobOptions& options,
                                                                           jobs::UnixMs now);

/// Who waits for the keeper's word. Whoever leaves is not there any more when that comes: the job stays as it
/// is. Loop thread only.
class JobsAsked {
 public:
    [[nodiscard]] std::string new_id() { return ids_.next(); }
    [[nodiscard]] std::uint64_t add(ModuleEnqueue& waiting) {
        waiting_.emplace(++last_, &waiting);
        return last_;
    }
    /// Null: it has left.
    [[nodiscard]] ModuleEnqueue* take(std::uint64_t number) noexcept {
        const auto found = waiting_.extract(number);
        return found.empty() ? nullptr : found.mapped();
    }

 private:
    jobs::JobIds ids_;
    std::unordered_map<std::uint64_t, ModuleEnqueue*> waiting_;
    std::uint64_t last_ = 0;
};

class ModuleEnqueue final : public ModuleWork {
 public:
    ModuleEnqueue(ModuleVisit& visit, reeve::detail::Wait& wait, jobs::Enqueue&& wanted, reeve::Enqueued& job,
                  reeve::detail::Refusal& refusal);
    [[nodiscard]] bool start() override;
    /// Nobody hears of it any more. It may be stored all the same.
    void stop() noexcept override;

 private:
    void on_answer(const jobs::Enqueue& enqueue, const ipc::Error* failure);

    jobs::Enqueue wanted_;
    reeve::Enqueued& job_;
    reeve::detail::Refusal& refusal_;
    std::uint64_t number_ = 0;
};

}  // namespace worker::handler
