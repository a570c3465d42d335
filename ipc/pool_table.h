// ipc/pool_table.h: who does whose task in the pools of a generation, in memory that master and workers
// share.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/counter.h"
#include "ipc/result.h"
#include "ipc/unique_fd.h"

namespace ipc {

// off ──▶ starting ──▶ idle ⇄ busy ──▶ overdue ──▶ off        master: starting ⇄ off, starting/doubtful ▶
// idle,
//                        │      ├──▶ doubtful ──▶ idle                idle ▶ retiring, any but busy ▶ off
//                        └──────┴──▶ retiring ──▶ off        worker: idle ▶ busy ▶ idle, retiring, doubtful,
//                        overdue
/// What a member is doing.
enum class MemberState : std::uint8_t {
    off,       ///< there is no process, or none that takes tasks
    starting,  ///< its process has not shown yet that it takes connections
    idle,
    busy,      ///< a worker has given it a task
    doubtful,  ///< its task was given up by the worker; whether the process is done with it is not known
    overdue,   ///< its task took too long: it is to be ended
    retiring   ///< takes nothing any more
};
constexpr std::size_t member_states = 7;
[[nodiscard]] std::string_view name(MemberState state);

/// A member that was acquired: proof that it is ours until it is given back.
struct PoolTask {
    std::uint32_t pool = 0, member = 0;
    std::uint64_t word = 0;
};

/// What the threads of a pool are doing: those of one worker, or of all.
struct ThreadUse {
    std::uint32_t threads = 0, busy = 0, stuck = 0, waiting = 0;  ///< those that are stuck are busy too
};

/// What a pool has done and is doing.
struct PoolReport {
    struct Member {
        MemberState state = MemberState::off;
        int pid = 0;
        std::uint64_t tasks = 0;     ///< of this process
        std::uint64_t state_ms = 0;  ///< how long it has been so
        std::uint32_t row = 0;       ///< busy: of the worker
    };
    std::string name;
    bool of_threads = false;
    ThreadUse threads;                                  ///< of a pool of threads: of all workers
    std::vector<Member> members;                        ///< of a pool of processes
    std::array<std::uint64_t, member_states> states{};  ///< how many are in each
    std::uint64_t waiting = 0, queue = 0, size_max = 0;
    std::uint64_t tasks = 0, refused_full = 0, refused_late = 0, left = 0;
    std::uint64_t timeouts = 0, aborted = 0, died = 0, started = 0, crashes = 0, kills = 0, recycled = 0;
    std::uint64_t threw = 0;
    std::uint64_t busy_us = 0, waited_us = 0;
};

/// One a generation, made by its master before it forks; workers inherit it. Each member is one word that
/// changes by compare-and-swap; whatever a process that dies leaves behind is put right by `free_of`.
/// A row is the number of a worker's row in the scoreboard.
class PoolTable {
 public:
    struct Shape {
        std::string name;
        std::uint32_t members = 1;   ///< places, spare ones too
        std::uint32_t size_max = 1;  ///< of them used at once
        std::uint32_t queue = 0;     ///< tasks that may wait, over all workers
        bool threads = false;        ///< of each worker: no members, and the rest is of each worker
    };
    static constexpr std::uint32_t rows_max = 1024;

    /// Counters of a pool; any process adds.
    struct Counters {
        Counter tasks;                       ///< given to a member
        Counter refused_full, refused_late;  ///< the queue was full; waited too long
        Counter left;                        ///< clients that left while they waited
        Counter timeouts;                    ///< tasks that took too long
        Counter aborted;                     ///< tasks whose client left
        Counter died;                        ///< tasks whose process died
        Counter started;                     ///< processes
        Counter crashes;                     ///< processes that ended unasked
        Counter kills;                       ///< processes that TERM did not end
        Counter recycled;                    ///< processes that were replaced
        Counter busy_us, waited_us;          ///< of all tasks together
        Counter over;                        ///< tasks that `busy_us` counts
        Counter threw;                       ///< tasks of threads that an exception ended
    };

    [[nodiscard]] static Result<std::unique_ptr<PoolTable>> create(const std::vector<Shape>& pools);
    PoolTable(const PoolTable&) = delete;
    PoolTable& operator=(const PoolTable&) = delete;
    ~PoolTable();

    [[nodiscard]] std::uint32_t pools() const noexcept { return static_cast<std::uint32_t>(shapes_.size()); }
    [[nodiscard]] std::uint32_t members(std::uint32_t pool) const noexcept { return shapes_[pool].members; }
    [[nodiscard]] const std::string& name(std::uint32_t pool) const noexcept { return shapes_[pool].name; }
    [[nodiscard]] Counters& counters(std::uint32_t pool) const noexcept;
    [[nodiscard]] PoolReport report(std::uint32_t pool, std::uint64_t now_ms) const;

    // ---- for workers ----

    /// The idle member with the lowest number: so it stays warm, and those beyond need age.
    [[nodiscard]] std::optional<PoolTask> acquire(std::uint32_t pool, std::uint32_t row,
                                                  std::uint64_t now_ms) noexcept;
    /// The task is done, and the member is ready for the next. Those who wait in the row `cared_for` are the
    /// caller's to look after, all others are told. False: it was not ours any more.
    bool release(const PoolTask& task, std::uint64_t now_ms,
                 std::optional<std::uint32_t> cared_for = std::nullopt) noexcept;
    /// The task is given up; its process may still be at it, or be gone. The master finds out.
    bool give_up(const PoolTask& task, std::uint64_t now_ms) noexcept;
    /// The task took too long: the master ends the process.
    bool overdue(const PoolTask& task, std::uint64_t now_ms) noexcept;

    /// One more waits, or false: `queue` of them do.
    [[nodiscard]] bool enter(std::uint32_t pool, std::uint32_t row) noexcept;
    void leave(std::uint32_t pool, std::uint32_t row) noexcept;
    [[nodiscard]] std::uint64_t waiting(std::uint32_t pool) const noexcept;
    /// Readable when a member has become idle while somebody waited. Non-blocking; shared by all.
    [[nodiscard]] int doorbell(std::uint32_t pool) const noexcept { return doorbells_[pool].get(); }
    /// After a look for idle members: whoever else waits, and could have one, is woken.
    void pass_on(std::uint32_t pool) noexcept;

    /// What the threads of that worker are doing now.
    void set_threads(std::uint32_t pool, std::uint32_t row, const ThreadUse& use) noexcept;

    /// Where a member's process takes connections: a path, good in this process.
    [[nodiscard]] std::string address(std::uint32_t pool, std::uint32_t member) const;

    // ---- for the master ----

    /// `socket`: an O_PATH descriptor of the bound socket; its file need not have a name any more.
    void set_address(std::uint32_t pool, std::uint32_t member, UniqueFd socket);

    /// Readable when a worker has something for it. Non-blocking.
    [[nodiscard]] int bell() const noexcept { return bell_.get(); }
    void hush() noexcept;
    /// Descriptors that a worker must keep over the fork.
    [[nodiscard]] std::vector<int> descriptors() const;

    [[nodiscard]] MemberState state(std::uint32_t pool, std::uint32_t member) const noexcept;
    /// For how long it is so; 0 also when somebody has changed it since `now_ms` was taken.
    [[nodiscard]] std::uint64_t age_ms(std::uint32_t pool, std::uint32_t member,
                                       std::uint64_t now_ms) const noexcept;
    [[nodiscard]] std::uint64_t tasks(std::uint32_t pool, std::uint32_t member) const noexcept;
    /// Changes it, if it is still so.
    bool change(std::uint32_t pool, std::uint32_t member, MemberState from, MemberState to,
                std::uint64_t now_ms) noexcept;
    /// A new process is in that place; 0: none is. The bell rings when it has done `tasks_limit` tasks; 0:
    /// never.
    void set_process(std::uint32_t pool, std::uint32_t member, int pid, std::uint64_t tasks_limit) noexcept;
    /// It takes nothing any more: retiring at once where it is idle (true), else when its task is over.
    bool ask_to_retire(std::uint32_t pool, std::uint32_t member, std::uint64_t now_ms) noexcept;
    /// Counters of pools of the same name go on from those of another generation.
    void add_counters_of(const PoolTable& before) noexcept;
    /// Whether the bell rings when somebody has to wait.
    void set_growing(std::uint32_t pool, bool grows) noexcept;
    /// The worker of that row is gone: nobody waits there, and its tasks are given up: whoever has them is
    /// doubtful, or, where nobody may go on with them, overdue. How many those were.
    std::uint32_t free_of(std::uint32_t row, std::uint64_t now_ms,
                          MemberState to = MemberState::doubtful) noexcept;
    /// One of its members at least is to be ended, or is being ended.
    [[nodiscard]] bool ends_one(std::uint32_t pool) const noexcept;

 private:
    struct Member;
    struct Pool;

    PoolTable() = default;
    [[nodiscard]] Member& member(std::uint32_t pool, std::uint32_t index) const noexcept;
    [[nodiscard]] Pool& cell(std::uint32_t pool) const noexcept;
    static void use_row(Pool& pool, std::uint32_t row) noexcept;
    bool end(const PoolTask& task, MemberState to, std::uint64_t now_ms) noexcept;
    void ring_if_waiting(std::uint32_t pool) noexcept;
    void ring(std::uint32_t pool) noexcept;
    void tell_master() noexcept;

    std::vector<Shape> shapes_;
    std::vector<std::uint32_t> first_;  ///< of each pool, its first member
    std::vector<UniqueFd> doorbells_;
    std::vector<UniqueFd> addresses_;  ///< by member
    UniqueFd bell_;
    void* memory_ = nullptr;
    std::size_t size_ = 0;
    Pool* pools_ = nullptr;
    Member* members_ = nullptr;
};

}  // namespace ipc
