// master/companion.h: keeps alive one process beside the workers of a generation.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
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

/// Which one it is. Calls come from the loop, but for `furnish`.
class CompanionTrade {
 public:
    virtual ~CompanionTrade() = default;
    /// What it does, for the log: "check".
    [[nodiscard]] virtual const char* work() const noexcept = 0;
    /// Descriptors that the process keeps, beside log and configuration.
    [[nodiscard]] virtual std::vector<int> descriptors() const { return {}; }
    /// In the child: what its seat has that is not every companion's.
    virtual void furnish(ipc::Seat& seat) = 0;
    /// Forked.
    virtual void on_begun() {}
    /// Its process has ended; nothing of it is left but what it shared.
    virtual void on_ended() {}
};

// absent ──start──▶ running ──dies──▶ backing off ──delay──▶ running
//                      │ ├──silent──▶ aborted ──a second──▶ killed;  both ──dies──▶ backing off
//                      │ └──leave──▶ leaving ──limit──▶ killed;  both ──dies──▶ absent
/// Whoever is silent is replaced, and whoever dies, with growing delays. What that means for others is for
/// its owner to say.
class Companion final : private SlotOwner {
 public:
    /// What it works with; all of it outlives the companion.
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

    /// `what`: it is called so; a literal. `late_after`: then it is not waited for any more. `on_change` is
    /// called when one of the answers below has changed.
    Companion(const Surroundings& around, CompanionTrade& trade, const char* what,
              std::chrono::milliseconds late_after, std::function<void()> on_change);
    Companion(const Companion&) = delete;
    Companion& operator=(const Companion&) = delete;

    /// Forks, also again and again.
    void start();
    /// Its generation serves; told to each that is forked, too.
    void serve();
    /// Told so, to each that is forked, too. One that leaves by itself from now on is not replaced.
    void drain(const ipc::Drain& word);
    /// For good: told so, and killed when it is there after `limit`. Again: with another limit.
    void leave(const ipc::Message& word, std::chrono::milliseconds limit);
    void tell(const ipc::Message& message) { slot_.tell(message); }
    /// Told so, and not replaced when it dies: another one does its work from now on.
    void let_go(const ipc::Message& word);
    /// It writes to the error log of `logs` from now on; `request` grows.
    void reopen(std::uint32_t request);
    /// Or there is no process that would have to.
    [[nodiscard]] bool confirmed(std::uint32_t request) const noexcept;

    [[nodiscard]] bool wanted() const noexcept { return wanted_; }
    [[nodiscard]] bool running() const noexcept { return slot_.running(); }
    /// The process of now has said READY.
    [[nodiscard]] bool ready() const noexcept { return slot_.running() && slot_.ready_ms != 0; }
    /// It was ready once, or has died, or takes longer than is waited for.
    [[nodiscard]] bool settled() const noexcept { return slot_.ready_ms != 0 || slot_.restarts > 0 || late_; }
    /// What the last one said that could not do its work; empty: none did.
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
    [[nodiscard]] pid_t pid() const noexcept { return slot_.running() ? slot_.pid() : 0; }
    [[nodiscard]] std::uint64_t started_ms() const noexcept { return slot_.started_ms; }
    [[nodiscard]] std::uint32_t restarts() const noexcept { return slot_.restarts; }

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
    CompanionTrade& trade_;
    const char* what_;
    std::chrono::milliseconds late_after_;
    std::function<void()> on_change_;
    bool wanted_ = false;
    bool serving_ = false;
    bool late_ = false;
    bool last_ = false;  ///< there is to be no other one after it
    std::optional<ipc::Drain> draining_;
    std::string complaint_;
    Slot slot_;
    Watchdog watchdog_;
    ipc::SharedCell<ipc::CompanionVitals> vitals_;  ///< shared with the process of now; none before
    ipc::Event timer_;  ///< wanted: the next look or start; stuck, or not wanted any more: KILL
};

}  // namespace master
