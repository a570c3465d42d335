// master/sentinel.h: keeps alive the one process of a generation that checks peers and resolves names.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "ipc/event.h"
#include "ipc/scoreboard.h"
#include "ipc/seat.h"
#include "ipc/shared_cell.h"
#include "master/logs.h"
#include "master/slot.h"
#include "master/title.h"
#include "master/watchdog.h"

namespace master {

// absent ──start──▶ running ──dies──▶ backing off ──delay──▶ running
//                      │ ├──silent──▶ aborted ──a second──▶ killed;  both ──dies──▶ backing off
//                      │ └──stop──▶ leaving ──a second──▶ killed;  both ──dies──▶ absent
/// Nobody waits for it, and nothing fails with it: while there is none, or while it is stuck, workers go on
/// with what they know of their peers.
class Sentinel final : private SlotOwner {
 public:
    /// What it works with; all of it outlives the sentinel.
    struct Surroundings {
        event_base& loop;
        const Logs& logs;
        int config;  ///< the configuration's text
        ipc::Scoreboard& board;
        ProcessTitle& title;
        const std::function<int(ipc::Seat)>& run;  ///< what the process does; empty: there is none
        std::chrono::milliseconds watchdog;        ///< aborted after so much silence; 0: never
        std::chrono::milliseconds start_timeout;   ///< from the fork to READY
        std::uint32_t generation;
    };

    /// `on_change` is called when its process has ended, or has confirmed a reopen.
    Sentinel(const Surroundings& around, std::function<void()> on_change);
    Sentinel(const Sentinel&) = delete;
    Sentinel& operator=(const Sentinel&) = delete;

    /// Forks, also again and again. `term`: of its generation, for `ipc::HealthLease`.
    void start(std::uint32_t term);
    /// Its generation serves: it may check peers from now on, and not only resolve names.
    void serve();
    /// Names are resolved; or it cannot be waited for any longer.
    [[nodiscard]] bool resolved() const noexcept;
    /// For good: told, then killed.
    void stop();
    void tell(const ipc::Message& message) { slot_.tell(message); }
    /// It writes to the error log of `logs` from now on; `request` grows.
    void reopen(std::uint32_t request);
    /// Or there is no process that would have to.
    [[nodiscard]] bool confirmed(std::uint32_t request) const noexcept;

    [[nodiscard]] bool running() const noexcept { return slot_.running(); }
    [[nodiscard]] pid_t pid() const noexcept { return slot_.running() ? slot_.pid() : 0; }
    [[nodiscard]] std::uint32_t restarts() const noexcept { return slot_.restarts; }
    [[nodiscard]] bool wanted() const noexcept { return wanted_; }

 private:
    void on_message(Slot& slot, const ipc::Message& message) override;
    void on_end(Slot& slot, const Ending& ending) override;
    void on_time(short what);
    void check_pulse();
    void spawn();
    [[nodiscard]] ipc::Result<void> fork();
    int run(ipc::Channel channel);
    void respawn_later();

    Surroundings around_;
    std::function<void()> on_change_;
    bool wanted_ = false;
    bool serving_ = false;
    bool late_ = false;  ///< with its first answers
    std::uint32_t term_ = 0;
    Slot slot_;
    Watchdog watchdog_;
    ipc::SharedCell<ipc::SentinelVitals> vitals_;  ///< shared with the process of now; none before
    ipc::Event timer_;  ///< wanted: the next look or start; stuck, or not wanted any more: KILL
};

}  // namespace master
