// worker/upstream/hedging.h: when a second copy of a call goes to another peer, and whether it may.
#pragma once

#include <cstdint>
#include <functional>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/upstream_cells.h"
#include "worker/execution/deadlines.h"
#include "worker/execution/loop.h"
#include "worker/upstream/latency_quantile.h"

namespace worker::upstream {

/// A call that will be told when its answer is late.
class Hedged : private execution::Link {
 public:
    virtual ~Hedged() = default;
    /// It is not to be told any more.
    void leave() noexcept { unlink(); }

 protected:
    /// Once. May leave the other calls that wait, but not wait itself.
    virtual void on_late() noexcept = 0;

 private:
    friend class Hedging;
    std::uint64_t late_us_ = 0;
};

/// Of one upstream and loop: hedged requests, deferred until the call is among the slowest twentieth (Dean
/// and Barroso, The Tail at Scale, CACM 56(2), 2013). Loop thread only.
class Hedging {
 public:
    /// Copies under way in the other workers.
    using Others = std::function<std::uint64_t()>;

    /// All must outlive it, and it outlives all calls.
    Hedging(const conf::Hedge& config, execution::Loop& loop, ipc::UpstreamUse& use, Others others);
    Hedging(const Hedging&) = delete;
    Hedging& operator=(const Hedging&) = delete;

    /// A call begins, which adds to the budget: `hedge_budget` of 100 calls, saved up for ten copies at most.
    void count_call() noexcept;
    /// The request is on its way: tells the call when the delay has passed, to the millisecond, unless it
    /// leaves. Again: from now on.
    void watch(Hedged& call);
    /// An answer began so long after its request was complete, the slower copy's apart.
    void answered(std::uint64_t us) noexcept { answers_.add(us); }
    /// One more copy, if there is room. Each that begins owes an `end`.
    [[nodiscard]] bool begin();
    void end() noexcept { use_.hedging.subtract(); }
    /// Its answer was first.
    void won() noexcept { use_.hedges_won.add(); }

    /// The p95 of answers, within `hedge_delay_min` and `hedge_delay_max`; the latter while it is not known.
    [[nodiscard]] std::uint64_t delay_us() const noexcept;

 private:
    void on_time(short what);
    void arm();

    const conf::Hedge& config_;
    execution::Loop& loop_;
    ipc::UpstreamUse& use_;
    Others others_;
    LatencyQuantile answers_;
    std::uint32_t hundredths_ = 100;  ///< of copies that the budget has room for
    execution::Link waiting_;         ///< the one that is late first is first
    ipc::Event timer_;
    std::uint64_t timer_us_ = 0;  ///< 0: not armed
};

}  // namespace worker::upstream
