// worker/upstream/concurrency_limit.h: whether one more call may go to an upstream that answers so many at
// once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "conf/config.h"
#include "ipc/upstream_cells.h"
#include "worker/execution/clock.h"

namespace worker::upstream {

/// Of one upstream and loop; the limit is one for all workers, as are the calls that count: those without the
/// head of an answer. Two workers that look in the same moment may both take the last place. Loop thread
/// only.
class ConcurrencyLimit {
 public:
    /// Calls that wait in the other workers.
    using Others = std::function<std::uint64_t()>;
    static constexpr std::uint64_t retry_after_seconds = 1;  ///< nobody knows when a call will end

    /// All must outlive it, and it outlives all calls.
    ConcurrencyLimit(const conf::Concurrency& config, const std::string& name, const execution::Clock& clock,
                     ipc::ConcurrencyCell& cell, ipc::UpstreamUse& use, Others others);

    /// Whether there is room; a call that is refused is counted, and logged at most once a second.
    [[nodiscard]] bool admits();
    /// A call begins, and owes a `leave`, when its answer begins or it is over.
    void enter() noexcept { use_.waiting.add(); }
    void leave() noexcept { use_.waiting.subtract(); }
    /// An answer began, or did not until now, to a request that was complete then.
    void answered(std::uint64_t asked_us) noexcept { cell_.add(rules_, asked_us, clock_.now_us()); }

 private:
    void tell(std::uint64_t waiting, std::uint32_t limit);

    const std::string& name_;
    const execution::Clock& clock_;
    ipc::ConcurrencyCell& cell_;
    ipc::UpstreamUse& use_;
    Others others_;
    ipc::ConcurrencyRules rules_;
    std::uint64_t told_us_ = 0, untold_ = 0;
};

}  // namespace worker::upstream
