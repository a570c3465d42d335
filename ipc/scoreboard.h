// ipc/scoreboard.h: counters, heartbeats and requests in flight, in memory that all processes share.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ipc/buffer_use.h"
#include "ipc/count_table.h"
#include "ipc/counter.h"
#include "ipc/crash_note.h"
#include "ipc/histogram.h"
#include "ipc/in_flight.h"
#include "ipc/jobs_cells.h"
#include "ipc/rate_table.h"
#include "ipc/result.h"
#include "ipc/shared_text.h"
#include "ipc/unique_fd.h"
#include "ipc/upstream_cells.h"

namespace ipc {

/// Bumped when the layout changes: memory of another version is not read (an upgrade starts its counters
/// anew).
constexpr std::uint32_t scoreboard_layout = 11;

/// One event loop's cell; `alignas` keeps neighbours from sharing a cache line.
struct alignas(128) LoopCell {
    Counter heartbeat_ms;             ///< CLOCK_MONOTONIC of the last turn
    Counter connections;              ///< open now
    Counter accepted;                 ///< ever
    Counter requests;                 ///< ever, answered or not
    std::array<Counter, 6> statuses;  ///< by hundreds; [0] those closed without an answer
    Counter bytes_in, bytes_out;
    Counter refused;         ///< connections over `connections_max`
    Counter accept_pauses;   ///< times accepting stopped for want of descriptors
    Counter log_lines_lost;  ///< access log lines dropped: disk full or slow
    Counter slow_turns;      ///< turns of the loop longer than `slow_loop`
    Counter queue_full;      ///< those that would have had to wait and found no room; answered 503
    Counter queue_late;      ///< those that waited too long; answered 503
    Counter waiting;         ///< now, for a place in this loop, or with this acceptor, or for a thread
    Counter busy;            ///< places of this loop that are taken, or 1: this thread runs a handler
    Histogram turns;         ///< how long turns of the loop took, waiting apart
    InFlight in_flight;
};

/// What was asked of one route.
struct alignas(64) RouteCell {
    Counter rate_limited, conn_limited;  ///< requests refused by `limit_rate`, `limit_conn`
    std::array<Counter, 6> statuses;     ///< as in LoopCell
    Histogram latency;                   ///< from the first byte of the request to the last of the response
};

/// A worker's state as its master sees it.
enum class SlotState : std::uint8_t { empty, starting, ready, stuck, draining, backing_off };
[[nodiscard]] std::string_view name(SlotState state);

/// What one worker's counters stood at, or have grown by.
struct Totals {
    std::uint64_t accepted = 0, requests = 0;
    std::array<std::uint64_t, 6> statuses{};
    std::uint64_t bytes_in = 0, bytes_out = 0;
    std::uint64_t refused = 0, accept_pauses = 0, log_lines_lost = 0, slow_turns = 0;
    std::uint64_t queue_full = 0, queue_late = 0;

    Totals& operator+=(const Totals& other) noexcept;
    Totals& operator-=(const Totals& other) noexcept;
};

/// What a row is of: each loop and each thread of a worker has one.
enum class Executor : std::uint8_t {
    loop,      ///< serves clients
    acceptor,  ///< accepts for the loops of its worker, or only talks to the master
    thread,    ///< runs handlers, which may block: it has no heartbeat
    keeper     ///< no worker's: calls upstreams and has tasks of pools for jobs
};
[[nodiscard]] std::string_view name(Executor executor);

/// Who sits in a row. The master writes it, everybody may read.
struct Tenant {
    Counter pid;       ///< 0: no process
    Counter executor;  ///< an Executor
    Counter number;    ///< of it in its worker, from 0: see conf::Crew
    Counter thread;    ///< its thread's id; it writes that itself
    Counter generation, slot;
    Counter state;                 ///< a SlotState
    Counter started_ms;            ///< CLOCK_MONOTONIC, of the process
    Counter generation_ms;         ///< CLOCK_MONOTONIC, of its generation
    Counter restarts;              ///< processes that ended unasked
    std::array<Counter, 20> base;  ///< `Totals` at the time the row was taken

    /// A number that is no state reads as `empty`.
    [[nodiscard]] SlotState slot_state() const noexcept {
        const auto found = state.get();
        return found <= static_cast<std::uint64_t>(SlotState::backing_off) ? static_cast<SlotState>(found)
                                                                           : SlotState::empty;
    }
    [[nodiscard]] Executor kind() const noexcept {
        const auto found = executor.get();
        return found <= static_cast<std::uint64_t>(Executor::keeper) ? static_cast<Executor>(found)
                                                                     : Executor::loop;
    }
};

constexpr std::size_t routes_max = 256;  ///< distinct names of routes that are counted apart

/// One worker's row. Counters only ever grow, over deaths and over changes of the tenant: so the sum over
/// all rows is what the server has done since it started.
struct WorkerCell {
    std::atomic<std::uint64_t> owner{0};  ///< pid of the master that holds the row; 0: free
    Tenant tenant;
    LoopCell loop;
    CrashNote crash;
    ModuleNames modules;  ///< of the first row of a worker: that its process has loaded
    BufferUse buffers;
    std::array<RouteCell, routes_max> routes;          ///< by `Scoreboard::route`
    std::array<PeerUse, peers_max> peers;              ///< by `Scoreboard::peer`
    std::array<UpstreamUse, upstreams_max> upstreams;  ///< by `Scoreboard::upstream`

    [[nodiscard]] Totals totals() const noexcept;
    /// Since the row was taken.
    [[nodiscard]] Totals since_taken() const noexcept;
};

/// Why a worker was replaced.
enum class RestartCause : std::uint8_t {
    signal,
    exit,
    stuck,
    not_ready,
    protocol,
    max_requests,
    max_memory,
    asked
};
constexpr std::size_t restart_causes = 8;
[[nodiscard]] std::string_view name(RestartCause cause);

/// What masters count: rare, and by more than one during an upgrade, hence `add_shared`.
struct MasterCell {
    std::array<Counter, restart_causes> restarts;
    Counter reloads, reload_failures;
    Counter upgrades, upgrade_failures;
    Counter poison_requests;   ///< requests that were in flight in more than one crash
    Counter last_reload_unix;  ///< seconds since the epoch, of the configuration that serves
    Counter generation;        ///< the one that serves
    Counter started_ms;        ///< CLOCK_MONOTONIC, of the first master
};

/// What the sentinels of all generations share.
struct SentinelCell {
    HealthLease lease;  ///< to check peers
    HealthLease names;  ///< to resolve names; its terms are those of `lease`
};

/// What the master watches of one sentinel or keeper; in memory that only these two share.
struct CompanionVitals {
    LoopCell loop;
    CrashNote crash;
};

/// A listening address, and how many connections wait there for an accept.
struct ListenerCell {
    SharedText<128> address;
    Counter pending;
};
constexpr std::size_t listener_cells = 64;

/// One mapping of a memfd, inherited by fork and handed to the next binary; zero at first.
class Scoreboard {
 public:
    static constexpr std::uint32_t rows_max =
        1024;  ///< workers of all generations; untouched rows cost nothing

    [[nodiscard]] static Result<Scoreboard> make();
    /// Memory that another master made. Fails when it has another layout.
    [[nodiscard]] static Result<Scoreboard> adopt(UniqueFd memory);

    Scoreboard(const Scoreboard&) = delete;
    Scoreboard& operator=(const Scoreboard&) = delete;
    Scoreboard(Scoreboard&& other) noexcept;
    Scoreboard& operator=(Scoreboard&& other) noexcept;
    ~Scoreboard();

    /// To hand on.
    [[nodiscard]] int fd() const noexcept { return file_.get(); }

    [[nodiscard]] WorkerCell& row(std::uint32_t index) noexcept;
    [[nodiscard]] const WorkerCell& row(std::uint32_t index) const noexcept;
    /// Rows from this one on have never been used.
    [[nodiscard]] std::uint32_t rows_used() const noexcept;
    [[nodiscard]] MasterCell& masters() noexcept;
    [[nodiscard]] const MasterCell& masters() const noexcept;
    [[nodiscard]] SentinelCell& sentinel() noexcept;
    [[nodiscard]] ListenerCell& listener(std::size_t index) noexcept;
    [[nodiscard]] const ListenerCell& listener(std::size_t index) const noexcept;

    /// A free row, now held by master `owner`; none when all are taken. Rows whose owner is no more are free.
    [[nodiscard]] std::optional<std::uint32_t> take(std::uint32_t owner) noexcept;
    /// Its process is no more: it calls nobody, holds no permit of a breaker, buffers nothing, and runs no
    /// request.
    void end_calls(std::uint32_t row) noexcept;
    /// Likewise, and it has no clients and no pid.
    void vacate(std::uint32_t row) noexcept;
    /// Its counters stay.
    void give_back(std::uint32_t row) noexcept;

    /// The index that requests of this route are counted under; a master calls it before it forks. 0 is for
    /// requests of no route, and for names beyond `routes_max`.
    std::uint32_t add_route(std::string_view name);
    /// As `add_route`, but 0 for a name that is not there.
    [[nodiscard]] std::uint32_t route(std::string_view name) const;
    [[nodiscard]] std::uint32_t routes_used() const noexcept;
    [[nodiscard]] std::string route_name(std::uint32_t index) const;

    /// Upstreams, as routes above: added by a master before it forks, 0 for those beyond `upstreams_max`.
    std::uint32_t add_upstream(std::string_view name);
    [[nodiscard]] std::uint32_t upstream(std::string_view name) const;
    [[nodiscard]] std::uint32_t upstreams_used() const noexcept;
    [[nodiscard]] UpstreamCell& upstream_cell(std::uint32_t index) noexcept;
    [[nodiscard]] const UpstreamCell& upstream_cell(std::uint32_t index) const noexcept;

    /// Queues of jobs, as routes above: added by a master before it forks, 0 for those beyond
    /// `job_queues_max`.
    std::uint32_t add_job_queue(std::string_view name);
    [[nodiscard]] std::uint32_t job_queue(std::string_view name) const;
    [[nodiscard]] std::uint32_t job_queues_used() const noexcept;
    [[nodiscard]] JobQueueCell& job_queue_cell(std::uint32_t index) noexcept;
    [[nodiscard]] const JobQueueCell& job_queue_cell(std::uint32_t index) const noexcept;
    /// Schedules, likewise; 0 for those beyond `job_schedules_max`.
    std::uint32_t add_job_schedule(std::string_view name);
    [[nodiscard]] std::uint32_t job_schedule(std::string_view name) const;
    [[nodiscard]] std::uint32_t job_schedules_used() const noexcept;
    [[nodiscard]] JobScheduleCell& job_schedule_cell(std::uint32_t index) noexcept;
    [[nodiscard]] const JobScheduleCell& job_schedule_cell(std::uint32_t index) const noexcept;
    [[nodiscard]] JobsCell& jobs() noexcept;
    [[nodiscard]] const JobsCell& jobs() const noexcept;

    /// Peers of upstreams, as routes above: added by a master before it forks, 0 for those beyond
    /// `peers_max`.
    std::uint32_t add_peer(std::string_view upstream, std::string_view address);
    [[nodiscard]] std::uint32_t peer(std::string_view upstream, std::string_view address) const;
    [[nodiscard]] std::uint32_t peers_used() const noexcept;
    [[nodiscard]] PeerCell& peer_cell(std::uint32_t index) noexcept;
    [[nodiscard]] const PeerCell& peer_cell(std::uint32_t index) const noexcept;

    /// Places for the addresses of a peer that is a name, the first `places` of them: peers too, but what is
    /// known of them is forgotten when another address gets a place.
    void add_places(std::string_view upstream, std::string_view name, std::uint32_t places);
    /// 0: the scoreboard has none.
    [[nodiscard]] std::uint32_t place(std::string_view upstream, std::string_view name,
                                      std::uint32_t number) const;
    /// Names of an upstream's peers, as routes above: 0 for those beyond `names_max`.
    std::uint32_t add_name(std::string_view upstream, std::string_view name);
    [[nodiscard]] std::uint32_t name(std::string_view upstream, std::string_view name) const;
    [[nodiscard]] std::uint32_t names_used() const noexcept;
    [[nodiscard]] NameCell& name_cell(std::uint32_t index) noexcept;
    [[nodiscard]] const NameCell& name_cell(std::uint32_t index) const noexcept;

    /// Which row that cell is.
    [[nodiscard]] std::uint32_t index_of(const WorkerCell& cell) const noexcept;

    /// What `limit_rate` and `limit_conn` count in, and the seed of their keys.
    [[nodiscard]] RateTable rates() noexcept;
    [[nodiscard]] CountTable counts() noexcept;
    [[nodiscard]] std::uint64_t seed() const noexcept;

    /// Over all rows ever used.
    [[nodiscard]] Totals totals() const noexcept;
    /// The buckets of all requests' latency, over all rows and routes; see `Histogram`.
    [[nodiscard]] std::array<std::uint64_t, Histogram::buckets> latency() const noexcept;

 private:
    struct Memory;

    Scoreboard(UniqueFd file, Memory* memory) noexcept : file_(std::move(file)), memory_(memory) {}

    UniqueFd file_;
    Memory* memory_ = nullptr;
};

}  // namespace ipc
