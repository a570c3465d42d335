// worker/jobs/schedules.h: makes jobs when their schedules are due.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "worker/execution/loop.h"
#include "worker/jobs/job_ids.h"
#include "worker/jobs/keeping.h"
#include "worker/jobs/timetable.h"
#include "worker/jobs/unix_clock.h"

namespace worker::jobs {

/// Under which the store knows the runs of a schedule: with other times it is another one, which has missed
/// nothing.
[[nodiscard]] std::string run_name(const conf::Schedule& schedule);

// unknown ──last run is known──▶ known ──due──▶ waiting ──stored──▶ known
/// One a keeper; fires only while that has the store. A run is `Fire`d, one at a time of each schedule, until
/// it is stored; whoever else fires the same one (another node, this one when its clock was set back) makes
/// no second job. Bounded: `missed_runs_max` runs wait, of a schedule. Loop thread only.
class Schedules {
 public:
    /// All must outlive it. `keeping` also tells others what was stored. `now`: the clock on the wall.
    Schedules(const conf::Config& config, execution::Loop& loop, ipc::Scoreboard& board, Keeping& keeping,
              std::function<UnixMs()> now = unix_ms);
    Schedules(const Schedules&) = delete;
    Schedules& operator=(const Schedules&) = delete;

    /// The store is ours from now on.
    void start();
    /// Nothing is fired any more; what is under way may be stored yet.
    void stop() noexcept;
    /// Does what is due. It calls itself in time, and once a minute, as clocks on walls are set.
    void look();

 private:
    struct Run {
        std::string id;
        UnixMs due = 0;
    };
    struct One {
        One(const conf::Schedule& of, const conf::Queue& its, ipc::JobScheduleCell* counted)
            : schedule(of), queue(its), cell(counted), timetable(of), name(run_name(of)) {}
        const conf::Schedule& schedule;
        const conf::Queue& queue;
        ipc::JobScheduleCell* cell;  ///< null: it is not counted
        Timetable timetable;
        std::string name;
        std::optional<std::string> body;
        bool known = false, asking = false, firing = false;
        UnixMs looked = 0;  ///< what was due until then is done, waits, or was missed
        UnixMs next = 0;    ///< 0: never
        std::deque<Run> waiting;
        std::uint32_t failures = 0;    ///< to fire the first of them, in a row
        std::uint64_t not_before = 0;  ///< CLOCK_MONOTONIC, ms: until then it is not tried again
    };

    void on_time(short what);
    void look_at(One& one);
    void learn(One& one);
    [[nodiscard]] UnixMs never_ran(const One& one) const;
    void collect(One& one, UnixMs now);
    void trim(One& one, UnixMs now);
    [[nodiscard]] static bool read_body(One& one);
    void fire(One& one);
    void on_fired(One& one, const Fire& fire, const ipc::Error* failure);
    void note_missed(One& one, std::uint64_t runs, std::string_view why);
    void fail(One& one, const std::string& why);
    void plan();

    execution::Loop& loop_;
    ipc::Scoreboard& board_;
    Keeping& keeping_;
    std::function<UnixMs()> now_;
    JobIds ids_;
    std::deque<One> all_;
    bool on_ = false;
    ipc::Event timer_;
};

}  // namespace worker::jobs
