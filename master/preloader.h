// master/preloader.h: keeps alive the one process of a generation that loads what its workers share, and
// forks them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ipc/event.h"
#include "ipc/seat.h"
#include "master/logs.h"
#include "master/slot.h"
#include "master/title.h"

namespace master {

/// What a worker runs: serves in its seat until told to leave, and returns the exit status.
using WorkerMain = std::function<int(ipc::Seat)>;
/// What a preloader runs: loads by that configuration, and calls `go` with what a worker runs that has all of
/// it already. Returns what that returned, or why nothing could be loaded.
using PreloadMain =
    std::function<ipc::Result<int>(int config, const std::function<int(const WorkerMain&)>& go)>;

// absent ──start──▶ loading ──READY──▶ ready       both ──dies──▶ clearing ──▶ backing off ──delay──▶ loading
//                   both ──stop──▶ leaving ──a second──▶ killed;      both ──dies──▶ clearing ──▶ absent
/// Workers are children of the master all the same (CLONE_PARENT), which stays small. Nothing fails with the
/// preloader: without it the master forks, and memory is not shared.
///
/// It leads a process group. Who is born into it stays there until the master knows of it (`Slot::expect`),
/// so that no process can be lost: when the preloader ends, whatever is left in its group is killed and
/// collected.
class Preloader final : private SlotOwner {
 public:
    /// What it works with; all of it outlives the preloader.
    struct Surroundings {
        event_base& loop;
        const Logs& logs;
        ProcessTitle& title;
        const PreloadMain& load;
        int config;  ///< the configuration's text
        std::chrono::milliseconds start_timeout;
        std::uint32_t generation;
    };
    /// What a process does that was forked: takes its seat from the channel, and then runs.
    using Seating = std::function<int(ipc::Channel, const WorkerMain&)>;

    /// `on_change` is called when one of the answers below has changed.
    Preloader(const Surroundings& around, Seating seating, std::function<void()> on_change);
    Preloader(const Preloader&) = delete;
    Preloader& operator=(const Preloader&) = delete;

    /// Forks, also again and again. `keep`: descriptors that those it forks need.
    void start(std::vector<int> keep);
    /// For good: it forks what it was asked for, and leaves; or is killed.
    void stop();

    /// It loads for the first time: it is worth waiting for, and that ends some time.
    [[nodiscard]] bool awaited() const noexcept { return wanted_ && !settled_; }
    [[nodiscard]] bool ready() const noexcept { return slot_.state == ipc::SlotState::ready; }
    /// It, or something that it forked and nobody knows, has not been collected yet.
    [[nodiscard]] bool running() const noexcept { return slot_.running() || group_ != 0; }
    /// Asks for a process that has this end of a channel. No answer but what comes from there: `Born`, or
    /// its end.
    void fork(int channel);
    /// It does not do what it was asked for, so it is killed.
    void give_up();

    /// Somebody in its group who has ended and is not collected yet; it may have been heard of, or not. 0:
    /// there is none, or the preloader itself has ended, and all will be cleared away.
    [[nodiscard]] pid_t dead_child() const;
    /// That one is known to nobody, and will not be.
    void collect(pid_t lost) const;

    [[nodiscard]] bool wanted() const noexcept { return wanted_; }
    [[nodiscard]] pid_t pid() const noexcept { return slot_.running() ? slot_.pid() : 0; }
    [[nodiscard]] std::uint32_t restarts() const noexcept { return slot_.restarts; }

 private:
    void on_message(Slot& slot, const ipc::Message& message) override;
    void on_end(Slot& slot, const Ending& ending) override;
    void on_time(short what);
    void on_clear(short what);
    void spawn();
    void respawn_later();
    int run(ipc::Channel channel);

    Surroundings around_;
    Seating seating_;
    std::function<void()> on_change_;
    std::vector<int> keep_;
    bool wanted_ = false;
    bool settled_ = false;  ///< once ready, or not to be waited for
    pid_t group_ = 0;       ///< of the process that ended, until nothing is left in it; 0: none
    Slot slot_;
    ipc::Event timer_;  ///< loading: too late; none: the next start; not wanted any more: KILL
    ipc::Event clearing_;
};

}  // namespace master
