// master/reign.h: the master's states from start to end, and who may change them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "ipc/event.h"
#include "master/control_server.h"
#include "master/daemon.h"
#include "master/listeners.h"
#include "master/logs.h"
#include "master/pid_file.h"
#include "master/reopening.h"
#include "master/signals.h"
#include "master/status.h"
#include "master/supervisor.h"

namespace master {

/// What the master has got hold of before it starts workers.
struct Holdings {
    std::optional<UnixSocket> control;
    std::optional<PidFile> pid_file;
    Logs logs;
    Listeners listeners;
    ipc::Scoreboard board;
    ipc::UniqueFd signals;  ///< of `Signals::block`
};

/// The signals that mean something to a master.
[[nodiscard]] ipc::Result<ipc::UniqueFd> block_master_signals();

// starting ──all READY──▶ serving ──QUIT──▶ unready ──drain_delay──▶ draining ──all gone──▶ gone
//    └──cannot──▶ stopping ◀──TERM── any       └──WINCH──▶ retiring ──all gone──▶ idle
// stopping ──1 s──▶ terminating ──0.5 s──▶ killing;  draining ──too long──▶ killing;  each ──all gone──▶ gone
class Reign {
 public:
    /// All outlive this.
    Reign(event_base& loop, const conf::Config& config, std::uint32_t workers, Holdings holdings,
          ProcessTitle& title, WorkerMain run, StartReport& report);
    Reign(const Reign&) = delete;
    Reign& operator=(const Reign&) = delete;

    /// Runs the loop to the end. Returns the exit status.
    [[nodiscard]] int run();

 private:
    enum class State : std::uint8_t {
        starting,
        serving,
        unready,
        draining,
        retiring,
        idle,
        stopping,
        terminating,
        killing,
        gone
    };

    void on_signal(int number);
    void on_command(ControlServer::ClientId client, std::string_view command);
    void on_change();
    void on_deadline(short what);

    void advance();
    [[nodiscard]] State step();
    [[nodiscard]] State step_start();
    [[nodiscard]] State after_deadline() const;
    void enter(State next);
    void begin_stop();
    void begin_quit();
    void reopen(std::optional<ControlServer::ClientId> client);
    void announce();
    [[nodiscard]] static std::string_view name(State state);
    [[nodiscard]] Status status() const;

    event_base& loop_;
    const conf::Config& config_;
    StartReport& report_;
    std::uint64_t started_ms_;
    // Destroyed last, so that a caller who waits for our end finds everything else given back.
    std::unique_ptr<ControlServer> control_;
    std::optional<PidFile> pid_file_;
    Logs logs_;
    Listeners listeners_;
    ipc::Scoreboard board_;
    Supervisor supervisor_;
    Reopening reopening_;
    Signals signals_;
    State state_ = State::starting;
    int exit_status_ = 0;
    ipc::Event deadline_;
};

}  // namespace master
