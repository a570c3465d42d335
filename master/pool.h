// master/pool.h: the members of one pool, from the first to the last.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/pool.h"
#include "ipc/event.h"
#include "ipc/member_vitals.h"
#include "ipc/pool_table.h"
#include "ipc/shared_cell.h"
#include "master/backoff.h"
#include "master/pool_output.h"
#include "master/pool_process.h"
#include "master/pool_socket.h"
#include "master/title.h"

namespace master {

/// What pools work with; all of it outlives them.
struct PoolSurroundings {
    event_base& loop;
    const PoolMain& serve;          ///< what a member does that is no program
    int config = -1;                ///< the configuration's text, for `serve`
    ProcessTitle* title = nullptr;  ///< for members that are no programs
    std::string user;               ///< whom members run as when we are root, unless their pool says so
    std::chrono::milliseconds start_timeout{30'000};  ///< from the fork to taking connections
    std::uint32_t generation = 1;
};

// A member:  off ──▶ starting ──takes a connection──▶ idle ⇄ busy       (`ipc::MemberState`)
//   dies, unasked ──delay──▶ starting            told to leave: TERM ──kill_grace──▶ KILL ──▶ off
//   doubtful ──takes a connection──▶ idle        overdue ──▶ TERM ──kill_grace──▶ KILL ──▶ starting
/// One place more than `size_max`, for the successor of a member that is replaced: that one is ready before
/// the other takes nothing any more, and takes nothing before the other is done. Everything happens in
/// `look`.
class Pool {
 public:
    /// `index`: of the pool in `table`; `pool` and `table` outlive this. `wake`: something has changed, look
    /// soon.
    Pool(const PoolSurroundings& around, const conf::Pool& pool, conf::PoolSize size, ipc::PoolTable& table,
         std::uint32_t index, std::vector<PoolSocket> sockets, std::function<void()> wake);
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    void start();
    /// Who is too late, who is to come, who is to go. Returns when to look again at the latest, in ms.
    [[nodiscard]] std::uint64_t look(std::uint64_t now);
    /// From now on TERM is followed by KILL after `grace`.
    void hurry(std::chrono::milliseconds grace);
    /// For good: TERM to all, and after `grace` KILL.
    void stop(std::chrono::milliseconds grace);

    /// Whether all that it begins with take connections, or have once.
    [[nodiscard]] bool started() const noexcept { return started_; }
    /// Why the first start cannot succeed.
    [[nodiscard]] const std::optional<std::string>& start_failure() const noexcept { return start_failure_; }
    /// Processes that have not ended.
    [[nodiscard]] std::uint32_t running() const noexcept;
    [[nodiscard]] const conf::Pool& config() const noexcept { return config_; }

 private:
    struct Member {
        Member(std::uint32_t number, PoolSocket taken) : index(number), socket(std::move(taken)) {}

        std::uint32_t index;
        PoolSocket socket;
        std::unique_ptr<PoolProcess> process;
        Backoff backoff;
        ipc::SharedCell<ipc::MemberVitals> vitals;  ///< with the process of now; of a module
        ipc::UniqueFd probe;                        ///< connected; once it is accepted, the process is ready
        bool wanted = false;                        ///< there is to be a process
        bool asked = false;                         ///< the process was told to leave
        bool killed = false;                        ///< and did not
        std::uint64_t started_ms = 0;               ///< the process; monotonic, as all times here
        std::uint64_t ready_ms = 0;                 ///< it took a connection; 0: not yet
        std::uint64_t due_ms = 0;                   ///< no process: not before this; asked: KILL
        std::uint64_t tasks_limit = 0;
        std::optional<std::uint32_t> replaces;  ///< a successor: of whom
    };

    void look_at(Member& member, std::uint64_t now);
    void look_at_end(Member& member, std::uint64_t now);
    void spawn(Member& member, std::uint64_t now);
    void probe(Member& member, std::uint64_t now);
    void on_ready(Member& member, std::uint64_t now);
    void on_end(Member& member, const Ending& ending);
    void end(Member& member, std::uint64_t now, std::chrono::milliseconds grace);
    [[nodiscard]] std::chrono::milliseconds with_margin(std::chrono::milliseconds grace) const noexcept;
    void end_overdue(Member& member, std::uint64_t now);
    void begin_start_check();
    void grow(std::uint64_t now);
    void shrink(std::uint64_t now);
    void recycle(std::uint64_t now);
    [[nodiscard]] std::optional<std::string> recycle_cause(const Member& member, std::uint64_t now) const;
    void succeed(Member& successor, std::uint64_t now);
    [[nodiscard]] ipc::MemberVitals* renew_vitals(Member& member) const;
    [[nodiscard]] static std::string doing(const Member& member);
    [[nodiscard]] static std::string post_mortem(const Member& member);
    void on_line(const Member& member, std::string_view line);
    [[nodiscard]] Member* spare();
    [[nodiscard]] std::uint32_t living() const noexcept;
    [[nodiscard]] ipc::MemberState state(const Member& member) const noexcept {
        return table_.state(index_, member.index);
    }

    PoolSurroundings around_;
    const conf::Pool& config_;
    conf::PoolSize size_;
    ipc::PoolTable& table_;
    std::uint32_t index_;
    std::function<void()> wake_;
    LineBudget budget_;
    bool started_ = false;
    bool leaving_ = false;
    std::chrono::milliseconds grace_;  ///< from TERM to KILL
    std::optional<std::string> start_failure_;
    std::uint64_t memory_looked_ms_ = 0;
    std::uint64_t recycle_ms_ = 0;  ///< not before this: the last try failed
    std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace master
