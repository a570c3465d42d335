// master/reign.h: the master's states from start to end, and who may change them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/event.h"
#include "master/control_server.h"
#include "master/daemon.h"
#include "master/generation.h"
#include "master/handover.h"
#include "master/pid_file.h"
#include "master/reload.h"
#include "master/reopening.h"
#include "master/service_manager.h"
#include "master/signals.h"
#include "master/status.h"
#include "master/upgrade.h"

namespace master {

/// What the master has got hold of before it starts workers.
struct Holdings {
    std::optional<UnixSocket> control;
    std::optional<PidFile> pid_file;
    ipc::Scoreboard board;
    ipc::UniqueFd signals;                      ///< of `Signals::block`
    std::optional<KeeperSocket> keeper_socket;  ///< likewise
    Listeners inherited;                        ///< sockets that somebody else has bound
    std::uint32_t generation = 0;               ///< the last one there was
    std::uint64_t started_ms = 0;               ///< CLOCK_MONOTONIC, when the first master started
    bool is_heir = false;                       ///< another master serves until we do
    int predecessor = 0;                        ///< the pid of that one
    bool counters_anew = false;                 ///< its scoreboard has another layout
};

/// The signals that mean something to a master.
[[nodiscard]] ipc::Result<ipc::UniqueFd> block_master_signals();

// starting ──all READY──▶ serving ──QUIT──▶ unready ──drain_delay──▶ draining ──all gone──▶ gone
//    └──cannot──▶ stopping ◀──TERM── any     ├──an heir serves────────▶ draining
//  stopping ──all gone──▶ gone               └──WINCH──▶ retiring ──all gone──▶ idle ──HUP──▶ serving
class Reign final : private ReloadHost {
 public:
    /// All outlive this. `first`: the configuration to start with; `read`: how to read it again.
    Reign(event_base& loop, Program program, ReadConfig read, Holdings holdings, ServiceEnvironment service,
          ProcessTitle& title, const WorkerMain& run, const WorkerMain& watch, const WorkerMain& keep,
          const PoolMain& serve_pool, const PreloadMain& preload, StartReport& report);
    Reign(const Reign&) = delete;
    Reign& operator=(const Reign&) = delete;
    ~Reign() override;

    /// Runs the loop to the end. Returns the exit status.
    [[nodiscard]] int run(Found first);

 private:
    enum class State : std::uint8_t { starting, serving, unready, draining, retiring, idle, stopping, gone };
    using Client = ControlServer::ClientId;

    // what is wanted
    void on_signal(int number);
    void on_command(Client client, std::string_view command);
    void begin_stop();
    void begin_quit();
    void begin_retire();
    void reload(const Reload::Done& done);
    void upgrade(Upgrade::Done done);
    void reopen(std::optional<Client> client);
    void set_level(Client client, std::string_view level);
    void force_breaker(Client client, std::string_view words);
    void restart_worker(Client client, std::string_view number);
    void show_the_keeper(Client client);

    // what happens
    void on_change();
    void on_changed(short what);
    void on_deadline(short what);
    void on_housekeeping(short what);
    void on_first_outcome(const ReloadOutcome& outcome);
    void on_heir(const std::string& why);
    void on_heir_end(const Ending& ending);
    void take_back();

    // of ReloadHost
    [[nodiscard]] ReadConfig reader() override { return read_; }
    void began() override { service_.reloading(); }
    [[nodiscard]] std::chrono::milliseconds start_timeout() const override;
    [[nodiscard]] ipc::Result<std::unique_ptr<Generation>> prepare(Found found) override;
    [[nodiscard]] ipc::Result<void> commit(std::unique_ptr<Generation>& candidate) override;
    void discard(std::unique_ptr<Generation> candidate) override;
    void failed(const std::string& why) override;

    void advance();
    void enter(State next);
    void announce();
    void open_control();
    void bound_generations();
    void publish_listeners();
    [[nodiscard]] Found kept() const;
    void order_keepers();
    [[nodiscard]] bool all_gone() const;
    [[nodiscard]] std::vector<Generation*> generations() const;
    [[nodiscard]] static std::string_view name(State state);
    [[nodiscard]] Status status() const;

    event_base& loop_;
    Program program_;
    ReadConfig read_;
    StartReport& report_;
    // Destroyed last, so that a caller who waits for our end finds everything else given back.
    std::optional<UnixSocket> control_socket_;  ///< until we serve, when another master does so far
    std::unique_ptr<ControlServer> control_;
    std::optional<PidFile> pid_file_;
    ipc::Scoreboard board_;
    Poison poison_;
    std::optional<KeeperSocket> keeper_socket_;  ///< none: there never were jobs
    Common common_;
    Listeners inherited_;
    std::uint32_t last_generation_;
    std::unique_ptr<Generation> serving_;               ///< none before the first
    std::vector<std::unique_ptr<Generation>> leaving_;  ///< oldest first
    ServiceManager service_;
    Reload reload_;
    Upgrade upgrade_;
    Reopening reopening_;
    Signals signals_;
    State state_ = State::starting;
    bool announced_ = false;
    bool is_heir_;
    bool counters_anew_;
    int exit_status_ = 0;
    std::uint64_t moved_logs_tried_ms_ = 0;
    ipc::Event changed_, deadline_, housekeeping_;
    ipc::UniqueFd predecessor_;  ///< pidfd of the master before us, as long as it lives
    ipc::Event predecessor_ended_;
    void on_predecessor_end(short what);
};

}  // namespace master
