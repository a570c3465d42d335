// master/reign.cpp: signals and commands say what is wanted; the state machine says when.
#include "master/reign.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "ipc/clock.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds stop_time{1000};      ///< from Stop to TERM
constexpr milliseconds terminate_time{500};  ///< from TERM to KILL
constexpr milliseconds drain_grace{1000};    ///< beyond shutdown_timeout, which workers keep themselves

}  // namespace

ipc::Result<ipc::UniqueFd> block_master_signals() {
    ::signal(SIGPIPE, SIG_IGN);
    return Signals::block({SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH});
}

Reign::Reign(event_base& loop, const conf::Config& config, std::uint32_t workers, Holdings holdings,
             ProcessTitle& title, WorkerMain run, StartReport& report)
    : loop_(loop),
      config_(config),
      report_(report),
      started_ms_(ipc::monotonic_ms()),
      pid_file_(std::move(holdings.pid_file)),
      logs_(std::move(holdings.logs)),
      listeners_(std::move(holdings.listeners)),
      board_(std::move(holdings.board)),
      supervisor_({.loop = loop,
                   .listeners = listeners_,
                   .logs = logs_,
                   .board = board_,
                   .title = title,
                   .run = std::move(run),
                   .watchdog = config.reeve.watchdog,
                   .start_timeout = config.reeve.start_timeout,
                   .generation = 1,
                   .started_ms = started_ms_},
                  workers, [this] { on_change(); }),
      reopening_(loop, logs_, supervisor_),
      signals_(loop, std::move(holdings.signals), [this](int number) { on_signal(number); }),
      deadline_(ipc::Event::timer<&Reign::on_deadline>(this, loop)) {
    if (holdings.control)
        control_ =
            std::make_unique<ControlServer>(loop, std::move(*holdings.control),
                                            [this](ControlServer::ClientId client, std::string_view command) {
                                                on_command(client, command);
                                            });
}

int Reign::run() {
    deadline_.arm(config_.reeve.start_timeout);
    supervisor_.start();
    if (state_ != State::gone) event_base_dispatch(&loop_);
    return exit_status_;
}

// ---- what is wanted -------------------------------------------------------------------------------

void Reign::on_signal(int number) {
    spdlog::info("signal received signal=SIG{}", ::sigabbrev_np(number));
    switch (number) {
        case SIGTERM:
        case SIGINT: return begin_stop();
        case SIGQUIT: return begin_quit();
        case SIGUSR1: return reopen(std::nullopt);
        case SIGWINCH:
            if (state_ == State::serving) enter(State::retiring);
            return advance();
        case SIGHUP:
            spdlog::warn("this version cannot reload its configuration: HUP ignored, serving goes on");
            return;
        case SIGUSR2:
            spdlog::warn("this version cannot upgrade itself: USR2 ignored, serving goes on");
            return;
        default: return;
    }
}

void Reign::on_command(ControlServer::ClientId client, std::string_view command) {
    if (command == "status") return control_->answer(client, "ok\n" + status_text(status()));
    if (command == "status json") return control_->answer(client, "ok\n" + status_json(status()));
    if (command == "stop" || command == "quit") {
        spdlog::info("control command received command={}", command);
        control_->answer(client, "ok\n", true);
        return command == "stop" ? begin_stop() : begin_quit();
    }
    if (command == "reopen") return reopen(client);
    if (command == "reload" || command == "upgrade")
        return control_->answer(client, fmt::format("error: {} is not supported by this version\n", command));
    control_->answer(client, "error: unknown command\n");
}

void Reign::begin_stop() {
    switch (state_) {
        case State::stopping:
        case State::terminating:
        case State::killing:
        case State::gone: return;
        case State::starting: report_.failed("stopped before it was ready"); [[fallthrough]];
        case State::serving:
        case State::unready:
        case State::draining:
        case State::retiring:
        case State::idle: enter(State::stopping); return advance();
    }
}

void Reign::begin_quit() {
    switch (state_) {
        case State::starting: return begin_stop();
        case State::serving: enter(State::unready); return advance();
        case State::retiring:
        case State::idle: enter(State::draining); return advance();
        case State::unready:
        case State::draining:
        case State::stopping:
        case State::terminating:
        case State::killing:
        case State::gone: return;
    }
}

void Reign::reopen(std::optional<ControlServer::ClientId> client) {
    reopening_.begin([this, client](const std::string& failure) {
        if (client) control_->answer(*client, failure.empty() ? "ok\n" : "error: " + failure + "\n");
    });
}

// ---- what happens ---------------------------------------------------------------------------------

void Reign::on_change() {
    reopening_.check();
    advance();
}

void Reign::on_deadline(short) {
    const auto next = after_deadline();
    if (next != state_) enter(next);
    advance();
}

void Reign::advance() {
    for (State next = step(); next != state_; next = step()) enter(next);
    if (state_ == State::gone) event_base_loopbreak(&loop_);
}

/// What each state becomes by itself.
Reign::State Reign::step() {
    const bool all_gone = supervisor_.running() == 0;
    switch (state_) {
        case State::starting: return step_start();
        case State::retiring: return all_gone ? State::idle : state_;
        case State::draining:
        case State::stopping:
        case State::terminating:
        case State::killing: return all_gone ? State::gone : state_;
        case State::serving:
        case State::unready:
        case State::idle:
        case State::gone: return state_;
    }
    std::abort();
}

Reign::State Reign::step_start() {
    if (const auto& failure = supervisor_.start_failure()) {
        spdlog::critical("cannot start why={:?}", *failure);
        report_.failed(*failure);
        exit_status_ = 1;
        return State::stopping;
    }
    return supervisor_.started() ? State::serving : State::starting;
}

/// What each state becomes when it has lasted too long.
Reign::State Reign::after_deadline() const {
    switch (state_) {
        case State::starting: return State::stopping;
        case State::unready: return State::draining;
        case State::draining:
        case State::retiring: return State::killing;
        case State::stopping: return State::terminating;
        case State::terminating: return State::killing;
        case State::serving:
        case State::idle:
        case State::killing:
        case State::gone: return state_;
    }
    std::abort();
}

/// What begins with each state, and how long it may last.
void Reign::enter(State next) {
    const State before = std::exchange(state_, next);
    spdlog::debug("master state={}", name(next));
    deadline_.disarm();
    switch (next) {
        case State::starting: return;
        case State::serving: return announce();
        case State::unready: supervisor_.unready(); return deadline_.arm(config_.reeve.drain_delay);
        case State::draining:
        case State::retiring:
            spdlog::info("draining timeout_ms={}", config_.reeve.shutdown_timeout.count());
            deadline_.arm(config_.reeve.shutdown_timeout + drain_grace);
            supervisor_.drain(config_.reeve.shutdown_timeout);
            if (next == State::draining) listeners_.close();  // each worker takes what waits, then closes too
            return;
        case State::idle: spdlog::info("all workers have left, the master stays"); return;
        case State::stopping:
            if (before == State::starting && exit_status_ == 0) {
                exit_status_ = 1;
                report_.failed("not all workers were ready in time");
            }
            deadline_.arm(stop_time);
            return supervisor_.stop();
        case State::terminating: deadline_.arm(terminate_time); return supervisor_.signal(SIGTERM);
        case State::killing:
            spdlog::error("workers do not leave and are killed workers={}", supervisor_.running());
            return supervisor_.signal(SIGKILL);
        case State::gone: spdlog::info("master leaves status={}", exit_status_); return;
    }
}

void Reign::announce() {
    if (pid_file_)
        if (const auto written = pid_file_->write(); !written)
            spdlog::error("pid file not written why={:?}", written.error().text());
    for (const auto& listener : listeners_.all())
        spdlog::info("listening address={:?}", listener.plan().address.text());
    spdlog::info("ready version={} pid={} workers={} config={:?}", REEVE_VERSION, ::getpid(),
                 supervisor_.slots().size(), config_.path);
    report_.succeeded();
}

std::string_view Reign::name(State state) {
    switch (state) {
        case State::starting: return "starting";
        case State::serving: return "serving";
        case State::unready: return "unready";
        case State::draining: return "draining";
        case State::retiring: return "retiring";
        case State::idle: return "idle";
        case State::stopping: return "stopping";
        case State::terminating: return "terminating";
        case State::killing: return "killing";
        case State::gone: return "gone";
    }
    std::abort();
}

Status Reign::status() const {
    const auto now = ipc::monotonic_ms();
    Status status;
    status.master.pid = ::getpid();
    status.master.state = name(state_);
    status.master.config = config_.path;
    status.master.generation = supervisor_.generation();
    status.master.age_ms = now - started_ms_;
    status.master.usage = process_usage(::getpid()).value_or(ProcessUsage{});
    status.workers = worker_statuses(supervisor_, board_, now);
    status.listeners = listener_statuses(listeners_);
    return status;
}

}  // namespace master
