#include "worker/jobs/strays.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace worker::jobs {

void Strays::look(const Stats& stats) {
    std::uint64_t all = 0, strays = 0;
    std::set<std::string> found;
    for (const auto& queue : stats.answer.queues) {
        const auto waiting = queue.scheduled + queue.ready + queue.running;
        all += waiting;
        const bool configured = std::any_of(config_.queues.begin(), config_.queues.end(),
                                            [&](const conf::Queue& one) { return one.name == queue.name; });
        if (configured || waiting == 0) continue;
        strays += waiting;
        found.insert(queue.name);
        if (!told_.contains(queue.name))
            spdlog::warn(
                "jobs of a queue that is not configured stay, and run once it is again queue={} jobs={}",
                queue.name, waiting);
    }
    told_ = std::move(found);
    waiting_ = all;
    cell_.strays.set(strays);
}

}  // namespace worker::jobs
