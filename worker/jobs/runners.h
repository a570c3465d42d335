// worker/jobs/runners.h: runs the jobs of all queues of a configuration.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/pool_table.h"
#include "worker/execution/loop.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/pool_door.h"
#include "worker/jobs/queue_runner.h"
#include "worker/jobs/target.h"
#include "worker/upstream/upstream.h"

namespace worker::jobs {

/// One a keeper. Nothing is claimed before `start`. Loop thread only.
class Runners {
 public:
    /// What it runs jobs with; all must outlive it. `pools`: null where no pool of processes is configured;
    /// `row`: of this process in the scoreboard, by which members are freed when it dies.
    struct Rooms {
        const conf::Config& config;
        execution::Loop& loop;
        upstream::Upstreams& upstreams;
        ipc::PoolTable* pools = nullptr;
        std::uint32_t row = 0;
    };

    /// `owner`: as of `Claim`. Whoever answers for `keeping` must not do so any more when this goes.
    Runners(const Rooms& rooms, Keeping& keeping, const std::string& owner);
    Runners(const Runners&) = delete;
    Runners& operator=(const Runners&) = delete;

    /// Each queue looks for what is there.
    void start();
    /// A job of that queue was committed that is due then, 0: at once: an `Enqueue` or `Fire` that created
    /// it, a `Retry`.
    void on_enqueued(std::string_view queue, UnixMs run_at);
    /// Something of that queue may run that could not before: another owner's job is over.
    void wake(std::string_view queue);
    /// Jobs may have ended that did not run here, and somebody is to be told.
    void wake_callbacks();
    void set_paused(std::string_view queue, bool paused);
    /// A `Cancel` found it running, with us as its owner. False: there is none, or under another fence.
    bool cancel(std::string_view id, std::int64_t fence);

    /// What runs goes on, and nothing else is begun.
    void claim_no_more() noexcept;
    /// Someone else has the store from here on: what runs is told to that one. What the first could not store
    /// is told anew.
    void keep_with(Keeping& keeping);
    /// Nothing new is begun. Those that run after `limit` are given back, without an attempt spent; `done` is
    /// called on a later turn, when all is stored, or `last_words` after the limit: with the number of jobs
    /// whose end is not. Again: sooner.
    void drain(std::chrono::milliseconds limit, std::function<void(std::size_t unstored)> done);

    /// How long what is given back may take: its processes end, and the store hears of it.
    [[nodiscard]] std::chrono::milliseconds last_words() const noexcept { return last_words_; }
    /// Processes that may be at jobs of nobody are being ended.
    [[nodiscard]] bool ends_any() const noexcept;
    /// There is another way to who has the store: what was wished of the jobs that run is asked for.
    void ask_for_wishes();

    [[nodiscard]] std::deque<QueueRunner>& all() noexcept { return runners_; }

 private:
    void connect();
    [[nodiscard]] QueueRunner* find(std::string_view queue) noexcept;
    [[nodiscard]] PoolDoor* door_of(const Rooms& rooms, const std::string& pool);
    void on_limit(short what);
    void look_for_end();

    execution::Loop& loop_;
    std::deque<PoolDoor> doors_;
    std::deque<Target> targets_;
    std::deque<QueueRunner> runners_;
    std::function<void(std::size_t)> done_;
    bool given_back_ = false;
    std::chrono::milliseconds last_words_;
    ipc::Event limit_;
};

}  // namespace worker::jobs
