// worker/jobs/pool_door.h: the members of a pool of processes, as far as jobs may have them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/pool_table.h"
#include "worker/execution/deadlines.h"
#include "worker/execution/loop.h"
#include "worker/upstream/upstream.h"

namespace worker::jobs {

/// Requests come first: a job gets a member that is idle while nobody waits for one, and takes no more than
/// one place of the pool's queue, however many jobs there are. It waits for as long as it takes. One a pool,
/// for all queues of the keeper.
/// A pool of threads is one member that several jobs share, as many as it has threads. What was there when
/// its process crashed wants to be alone from then on: so the one whose fault that was is found out.
/// Loop thread only.
class PoolDoor {
 public:
    /// Told in turn, each once, when there may be a member; it asks anew when it gets none.
    class Waiter : private execution::Link {
     public:
        virtual ~Waiter() = default;

     protected:
        virtual void on_chance() = 0;

     private:
        friend class PoolDoor;
    };

    /// Who has a member, perhaps beside others.
    class Sharer {
     public:
        virtual ~Sharer() = default;
        /// The process is being ended for another one's sake: it is given back, and to be waited for as after
        /// `overdue`.
        virtual void on_condemned() = 0;
    };

    /// `index`: of the pool in `table`; `row`: of this process in the scoreboard. All must outlive it, and it
    /// all who wait.
    PoolDoor(const conf::Pool& pool, ipc::PoolTable& table, std::uint32_t index, std::uint32_t row,
             execution::Loop& loop);
    PoolDoor(const PoolDoor&) = delete;
    PoolDoor& operator=(const PoolDoor&) = delete;
    ~PoolDoor();

    /// So many of `wanted` will probably be there in a moment; others do not count on them until `settle`.
    [[nodiscard]] std::uint32_t reserve(std::uint32_t wanted) noexcept;
    void settle(std::uint32_t reserved) noexcept { reserved_ -= reserved; }
    /// One, to be given back; none: wait. `alone`: not to be shared.
    [[nodiscard]] std::optional<ipc::PoolTask> take(Sharer& sharer, bool alone);
    /// It wants none any more.
    void forget(const Sharer& sharer) noexcept {
        if (alone_waits_ == &sharer) alone_waits_ = nullptr;
    }
    /// Its members can be asked to end one job, and live on.
    [[nodiscard]] bool shares() const noexcept { return conf::is_hosted(pool_); }
    void wait(Waiter& waiter);
    void leave(Waiter& waiter) noexcept;

    enum class End : std::uint8_t {
        whole,   ///< it has answered, and is ready for the next
        broken,  ///< the call was given up: nobody knows what it does
        overdue  ///< it is to be ended
    };
    void give_back(const ipc::PoolTask& task, End how, std::uint64_t begun_us, const Sharer& sharer);
    /// One that was given back as `overdue` is still about to be ended.
    [[nodiscard]] bool still_ending(const ipc::PoolTask& task) const noexcept;
    /// Some are about to be ended: by us, by requests, or since a keeper before us died with its jobs.
    [[nodiscard]] bool ends_any() const noexcept { return table_.ends_one(index_); }
    /// After so long it is not waited for any more: the master is gone, or nothing can end the process.
    [[nodiscard]] static std::chrono::milliseconds ending_time(const conf::Pool& pool) noexcept;

    /// Each a peer, by its number.
    [[nodiscard]] upstream::Upstream& members() noexcept { return upstream_; }
    [[nodiscard]] const conf::Pool& pool() const noexcept { return pool_; }
    /// As of `take`, for its counters.
    [[nodiscard]] ipc::PoolTable::Counters& counters() noexcept { return table_.counters(index_); }

 private:
    /// A member of ours that is shared.
    struct Host {
        ipc::PoolTask task;
        bool alone = false, broken = false;
        std::vector<Sharer*> sharers{};
    };

    void on_bell(short what);
    void on_time(short what);
    [[nodiscard]] std::uint32_t idle() const noexcept;
    [[nodiscard]] std::optional<ipc::PoolTask> share(Sharer& sharer, bool alone);
    void give_share_back(const ipc::PoolTask& task, End how, const Sharer& sharer);
    [[nodiscard]] bool others_wait() const noexcept;
    void call_next();
    void stand_in_line();
    void leave_line() noexcept;

    const conf::Pool& pool_;
    ipc::PoolTable& table_;
    std::uint32_t index_, row_;
    execution::Loop& loop_;
    const conf::Upstream config_;
    upstream::Upstream upstream_;
    std::uint32_t places_;  ///< of each member
    std::vector<Host> hosts_;
    const Sharer* alone_waits_ = nullptr;  ///< until it has one, nobody gets another share
    execution::Link waiters_;
    std::uint32_t reserved_ = 0;
    bool in_line_ = false;  ///< the table knows that somebody of ours waits
    bool calling_ = false;  ///< when this turn is over
    ipc::Event bell_, timer_;
};

}  // namespace worker::jobs
