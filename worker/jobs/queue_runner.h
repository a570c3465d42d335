// worker/jobs/queue_runner.h: runs the jobs of one queue: claims as many as it has places for.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/event.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/pace.h"
#include "worker/jobs/place.h"
#include "worker/jobs/pool_door.h"
#include "worker/jobs/target.h"

namespace worker::jobs {

/// What a queue's runner has done and is doing.
struct RunnerFigures {
    std::uint32_t places = 0;   ///< jobs that were claimed, and whose end is not stored yet
    std::uint32_t waiting = 0;  ///< of them: for a member of the pool
    std::uint32_t untold = 0;   ///< of them: the store did not take their end yet
    std::uint64_t claims = 0, claims_failed = 0, claim_us = 0;  ///< `claim_us`: of all claims together
    std::array<std::uint64_t, 8> endings{};                     ///< by `Ending`
    std::uint64_t run_us = 0;                                   ///< of all attempts together
};

/// There is one claim at a time, when there is a place and something may be there to run: nothing is asked
/// while there is nothing to do. Loop thread only.
class QueueRunner final : private PoolDoor::Waiter, private Place::Owner {
 public:
    /// `owner`: who runs these jobs, see `Recover`. All must outlive it, and it must outlive the answers of
    /// its keeping.
    QueueRunner(Target& target, Keeping& keeping, std::string owner);
    QueueRunner(const QueueRunner&) = delete;
    QueueRunner& operator=(const QueueRunner&) = delete;
    ~QueueRunner() override;

    /// Something may be ready: at the start, when a job was committed or given back, when its queue goes on.
    void wake();
    /// A job was committed that is due then; 0: at once.
    void on_enqueued(UnixMs run_at);
    void set_paused(bool paused);
    /// Of one that runs here; false: there is none, or under another fence.
    bool cancel(std::string_view id, std::int64_t fence);

    /// What was wished of those that run is asked for.
    void ask_for_wishes();
    void claim_no_more() noexcept { sated_ = true; }
    /// Someone else has the store from here on.
    void keep_with(Keeping& keeping) { keeping_ = &keeping; }
    /// Nothing new is begun, and what waits for a member is given back.
    void drain();
    /// All that run are given back, without an attempt spent. After `drain`.
    void give_back();
    /// Every end is stored, and nothing is under way.
    [[nodiscard]] bool idle() const noexcept { return places_.empty() && !claiming_; }
    /// Called each time the end of one of its jobs is stored that is to be told of.
    void when_told_of(std::function<void()> call) { told_of_ = std::move(call); }
    /// Called each time it has become so.
    void on_idle(std::function<void()> call) { idle_ = std::move(call); }

    [[nodiscard]] const std::string& name() const noexcept { return target_.queue.name; }
    [[nodiscard]] RunnerFigures figures() const;

 private:
    void on_chance() override;
    Keeping& keeping() override { return *keeping_; }
    std::uint64_t random() override { return random_(); }
    void on_run_over(Place& place) override;
    void on_stored(Place& place, const Finish& finish) override;

    void on_time(short what);
    void pump();
    void claim(std::uint32_t count, std::uint32_t reserved);
    void on_claimed(Claim&& claim, std::uint32_t reserved, const ipc::Error* failure);
    void begin(Claimed&& job);
    [[nodiscard]] bool give_members();
    void note_due(UnixMs at) noexcept;
    void plan();

    Target& target_;
    Keeping* keeping_;
    const std::string owner_;
    Pace pace_;
    std::vector<std::unique_ptr<Place>> places_, leaving_;
    std::function<void()> idle_, told_of_;
    std::mt19937_64 random_{std::random_device{}()};
    UnixMs next_ = 0;                  ///< when the next scheduled one is due; 0: none is known
    std::uint64_t not_before_ms_ = 0;  ///< CLOCK_MONOTONIC: no claim
    std::uint32_t failures_ = 0;       ///< of claims, in a row
    std::uint64_t claimed_us_ = 0;     ///< when the claim that is under way was made
    bool hungry_ = false;              ///< something may be ready
    bool again_ = false;               ///< and has come while a claim was under way
    bool held_ = false;                ///< something is ready, but for the number of those that run
    bool claiming_ = false, paused_ = false, draining_ = false;
    bool sated_ = false;  ///< it claims no more
    RunnerFigures figures_;
    ipc::Event timer_;
};

}  // namespace worker::jobs
