#include "worker/upstream/concurrency_limit.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace worker::upstream {
namespace {

constexpr std::uint64_t tell_every_us = 1'000'000;

}  // namespace

ConcurrencyLimit::ConcurrencyLimit(const conf::Concurrency& config, const std::string& name,
                                   const execution::Clock& clock, ipc::ConcurrencyCell& cell,
                                   ipc::UpstreamUse& use, Others others)
    : name_(name),
      clock_(clock),
      cell_(cell),
      use_(use),
      others_(std::move(others)),
      rules_{.min = config.min, .max = config.max, .tolerance_percent = config.tolerance} {
    use_.waiting.set(0);  // what is there is of a worker that died in the seat
    cell_.begin(rules_);
}

bool ConcurrencyLimit::admits() {
    const std::uint64_t waiting = use_.waiting.get() + others_();
    const std::uint32_t limit = cell_.limit(rules_);
    const bool room = waiting < limit;
    cell_.see(room ? static_cast<std::uint32_t>(waiting) + 1 : limit);
    if (!room) {
        use_.shed.add();
        tell(waiting, limit);
    }
    return room;
}

void ConcurrencyLimit::tell(std::uint64_t waiting, std::uint32_t limit) {
    const std::uint64_t now = clock_.now_us();
    if (told_us_ != 0 && now - told_us_ < tell_every_us) {
        ++untold_;
        return;
    }
    spdlog::warn(
        "upstream is busy upstream={} limit={} waiting={} baseline_us={} latency_us={} more_untold={}", name_,
        limit, waiting, cell_.baseline_us(), cell_.latency_us(), untold_);
    told_us_ = now;
    untold_ = 0;
}

}  // namespace worker::upstream
