// worker/jobs/keepers_desk.h: the store, those who ask it and those who run its jobs, from the first to the
// last.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/pool_table.h"
#include "ipc/scoreboard.h"
#include "worker/execution/loop.h"
#include "worker/jobs/batcher.h"
#include "worker/jobs/keeper_client.h"
#include "worker/jobs/keeper_server.h"
#include "worker/jobs/neighbours.h"
#include "worker/jobs/runners.h"
#include "worker/jobs/schedules.h"
#include "worker/jobs/strays.h"
#include "worker/upstream/upstream.h"

namespace worker::jobs {

// away ──open──▶ recovering ──▶ keeping ──give up, or leave──▶ closing ──▶ closed ──▶ over
//  ▲ └─busy, or cannot─┐                                          (given up: what runs is told to the next
//  one) └───────────────────┘
/// One a keeper. Loop thread only.
class KeepersDesk final : private Keeping {
 public:
    /// What it works with; all of it outlives this.
    struct Surroundings {
        const conf::Config& config;
        execution::Loop& loop;
        ipc::Scoreboard& board;
        ipc::WorkerCell* cell;               ///< where its calls are counted
        ipc::PoolTable* pools;               ///< null: there are none
        int socket;                          ///< of all keepers: listens, does not block
        std::string address;                 ///< of that socket
        std::string owner;                   ///< see `Claim`
        bool older;                          ///< keepers of older generations may run jobs yet
        Batcher::Open open;                  ///< of the store; fails with EBUSY while another process has it
        std::chrono::milliseconds lease{0};  ///< of a store that several machines share; 0: this one has it
        Bell::Open bell{};                   ///< of the machines that share it
    };

    /// `over` is called when nothing is left to do.
    KeepersDesk(Surroundings around, std::function<void()> over);
    KeepersDesk(const KeepersDesk&) = delete;
    KeepersDesk& operator=(const KeepersDesk&) = delete;
    ~KeepersDesk() override;

    /// Tries to open the store. `done`: whether it is open (false: another process has it), or why it cannot
    /// be. Tries on from then on, once it serves.
    void begin(std::function<void(const ipc::Result<bool>&)> done);
    /// Its generation serves: clients are taken, and jobs run, as soon as the store is open.
    void serve();
    /// Another keeper is to have the store.
    void give_up_store();
    /// Another keeper takes what is asked from now on, into a store of its own; what runs ends in ours.
    void give_up_clients();
    /// Nothing more is begun; what runs is given back after `limit`. Again: sooner, never later.
    void drain(std::chrono::milliseconds limit);
    /// No worker will ask for anything; older keepers that are connected tell the end of what they run,
    /// first. `soon`: those who are connected leave by themselves, first, unless it was said before that
    /// nobody asks. None of it is waited for beyond the limit of `drain`, and what last words take.
    void alone(bool soon);

 private:
    enum class State : std::uint8_t { away, opening, recovering, keeping, closing, closed };

    /// For those who run jobs.
    void submit(Operation operation, Answered answered) override;
    /// For clients: what is stored is of interest to those who run jobs.
    class Counter;
    void on_stored(const Operation& operation);
    void cancel(const std::string& id, std::int64_t fence);

    void try_open();
    void on_opened(const ipc::Result<void>& opened);
    void on_again(short what);
    void attend();
    void on_owners_late(short what);
    void owner_has_left(std::chrono::milliseconds time);
    void recover();
    void close();
    void on_closed();
    void on_look(short what);
    void look_at_queues();
    void expire();
    void on_waited(short what);
    void look_for_end();
    [[nodiscard]] bool wants_store() const noexcept { return serving_ && !gives_up_ && !over_told_; }
    [[nodiscard]] bool waits_for_others() const;

    Surroundings around_;
    std::function<void()> over_;
    std::function<void(const ipc::Result<bool>&)> begun_;
    Tally tally_;
    Strays strays_;
    Batcher batcher_;
    std::unique_ptr<Counter> counter_;
    KeeperServer server_;
    upstream::Upstreams upstreams_;
    std::unique_ptr<KeeperClient> successor_;  ///< who has the store after us; null: we, or nobody yet
    Runners runners_;
    Schedules schedules_;
    std::unique_ptr<Neighbours> neighbours_;  ///< null: one machine has the store
    State state_ = State::away;
    bool serving_ = false, owners_known_ = false, gives_up_ = false, drained_ = false, draining_ = false;
    bool retired_ = false;  ///< another keeper has another store
    bool alone_ = false, waits_for_clients_ = false, waited_ = false, over_told_ = false;
    bool busy_ = false;  ///< the store: another process had it when we tried last
    std::uint64_t drain_until_ms_ = 0;
    bool expiring_ = false, recovering_ = false, recovering_again_ = false;
    std::uint64_t recover_by_ms_ = 0;  ///< whatever is being ended
    std::uint64_t recovered_ = 0;      ///< jobs, since it was begun
    std::uint64_t busy_since_ms_ = 0, told_ms_ = 0, expired_ms_ = 0;
    ipc::Event again_, owners_late_, look_, waited_long_;
};

}  // namespace worker::jobs
