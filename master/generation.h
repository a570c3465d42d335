// master/generation.h: one configuration and the processes that serve with it, from preparing to gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "ipc/unique_fd.h"
#include "master/keeper.h"
#include "master/listeners.h"
#include "master/logs.h"
#include "master/plan.h"
#include "master/pools.h"
#include "master/preloader.h"
#include "master/reading.h"
#include "master/sentinel.h"
#include "master/supervisor.h"
#include "master/title.h"

namespace master {

/// What all generations share; outlives each.
struct Common {
    event_base& loop;
    ipc::Scoreboard& board;
    Poison& poison;
    ProcessTitle& title;
    const WorkerMain& run;
    const WorkerMain& watch;                     ///< empty: nobody checks upstreams
    const WorkerMain& keep;                      ///< empty: nobody keeps jobs
    const PoolMain& serve_pool;                  ///< what members of pools do that are no programs
    const PreloadMain& preload;                  ///< how what workers share is loaded; empty: it never is
    std::optional<KeeperSocket>& keeper_socket;  ///< opened when it is needed first
    std::uint64_t started_ms = 0;                ///< when the first master started; CLOCK_MONOTONIC
};

// getting ready ──serve──▶ serving ──drain──▶ draining ──too long──▶ killed;  any ──stop──▶ stopping
// stopping ──1 s──▶ terminating ──0.5 s──▶ killed;  each ──all gone──▶ gone
class Generation {
 public:
    /// Opens and binds what the plan asks for; what `before` has of it is taken up. Nothing is forked yet,
    /// nothing listens that did not before, and dropping the generation undoes all of it.
    [[nodiscard]] static ipc::Result<std::unique_ptr<Generation>> prepare(const Common& common, Found found,
                                                                          const Listeners& before,
                                                                          std::uint32_t number,
                                                                          std::function<void()> on_change);

    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;

    [[nodiscard]] Supervisor& supervisor() noexcept { return supervisor_; }
    [[nodiscard]] const Supervisor& supervisor() const noexcept { return supervisor_; }
    [[nodiscard]] const Sentinel& sentinel() const noexcept { return sentinel_; }
    /// Null: it has none.
    [[nodiscard]] const Preloader* preloader() const noexcept { return preloader_.get(); }
    /// Null: it has none.
    [[nodiscard]] const Keeper* keeper() const noexcept { return keeper_.get(); }
    [[nodiscard]] bool keeper_running() const noexcept { return keeper_ && keeper_->running(); }
    /// Null: it has none.
    [[nodiscard]] const Pools* pools() const noexcept { return pools_.get(); }
    [[nodiscard]] const Plan& plan() const noexcept { return plan_; }
    [[nodiscard]] Logs& logs() noexcept { return logs_; }
    [[nodiscard]] Listeners& listeners() noexcept { return listeners_; }
    [[nodiscard]] const Listeners& listeners() const noexcept { return listeners_; }
    [[nodiscard]] int config() const noexcept { return text_.get(); }
    [[nodiscard]] std::uint32_t number() const noexcept { return supervisor_.generation(); }
    [[nodiscard]] bool gone() const noexcept { return ending_ && running() == 0; }
    [[nodiscard]] bool ending() const noexcept { return ending_; }
    /// Takes the time that its plan gives it.
    [[nodiscard]] bool draining() const noexcept { return ending_ && !hurried_; }

    /// Forks its workers, its pools, and its sentinel where there are names to resolve.
    void start();
    /// Why it cannot start.
    [[nodiscard]] std::optional<std::string> start_failure() const;
    /// All workers and pools are READY, and names resolved as far as that is possible: nobody waits for them
    /// for long.
    [[nodiscard]] bool started() const;
    /// Before it serves: what pools count goes on from that one's.
    void follow(const Generation& before);
    /// Connections go to its workers, and its sentinel checks upstreams, from now on.
    [[nodiscard]] ipc::Result<void> serve();
    void tell_all(const ipc::Message& message);
    /// All write to the files of `logs` from now on. Returns the number of this request.
    std::uint32_t reopen();
    /// Those who have not confirmed that request, nor died: "worker 0", "sentinel".
    [[nodiscard]] std::vector<std::string> unconfirmed(std::uint32_t request) const;

    /// Its jobs are for the keeper of another generation, or of another master, from now on.
    void give_up_jobs();
    /// Likewise, of one that keeps them in `store`: if that is not ours, what runs ends in ours.
    void give_up_jobs_to(const std::string& store);
    /// Whether keepers of older generations run: they tell ours the end of their jobs, so ours goes after
    /// them.
    void keep_longer(bool older_run);
    /// Finishes what it holds within the plan's `shutdown_timeout`; who stays longer is killed.
    /// Addresses that `next` does not have are given up, once what waits there has been taken; our own as
    /// `next`: none is, somebody else may go on with them.
    void drain(const Listeners& next);
    /// The same, but the listeners stay open as they are.
    void drain_keeping_sockets();
    /// What `drain_keeping_sockets` left.
    void close_sockets();
    /// Leaves at once: told, then TERM, then KILL.
    void stop();

 private:
    Generation(const Common& common, Found found, Logs logs, Listeners listeners, std::uint32_t number,
               std::function<void()> on_change);
    [[nodiscard]] std::uint32_t running() const noexcept {
        return supervisor_.running() + (sentinel_.running() ? 1 : 0) + (keeper_running() ? 1 : 0) +
               (pools_ ? pools_->running() : 0) + (preloader_ && preloader_->running() ? 1 : 0);
    }
    [[nodiscard]] ipc::Result<void> prepare_pools(const Common& common);
    [[nodiscard]] ipc::Result<void> prepare_keeper(const Common& common);
    void prepare_preloader(const Common& common);
    void on_workers();
    void on_keeper();
    void forget_unchecked();
    void forget_unlimited();
    void on_deadline(short what);
    void escalate(int signal, std::chrono::milliseconds after);

    Plan plan_;
    ipc::UniqueFd text_;
    Logs logs_;
    Listeners listeners_;
    ipc::Scoreboard& board_;
    std::function<void()> on_change_;
    std::unique_ptr<Pools> pools_;          ///< null: there are none
    std::unique_ptr<Preloader> preloader_;  ///< null: there is none
    Supervisor supervisor_;
    Sentinel sentinel_;
    std::unique_ptr<Keeper> keeper_;  ///< null: there are no jobs
    std::uint32_t term_ = 0;          ///< of its sentinel; see `ipc::HealthLease`. 0: none yet
    bool ending_ = false;
    bool hurried_ = false;
    bool keeper_told_ = false;  ///< that it is alone
    bool older_keep_ = false;   ///< keepers of older generations run
    bool pools_told_ = false;   ///< to leave: its workers have left, and its keeper
    int next_signal_ = 0;       ///< what comes when the deadline passes; 0: nothing
    ipc::Event deadline_;
};

}  // namespace master
