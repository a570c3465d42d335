// master/reign.cpp: signals and commands say what is wanted; the state machine says when.
#include "master/reign.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
extern "C" {  // glibc 2.36 forgets it in this header
#include <sys/pidfd.h>
}
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "conf/units.h"
#include "ipc/clock.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds housekeeping_time{1000};
constexpr std::uint64_t moved_logs_again_ms = 10'000;  ///< after a reopen that failed

std::string answer_to(const ReloadOutcome& outcome) {
    switch (outcome.kind) {
        case ReloadOutcome::Kind::done: return "ok\n" + outcome.text + "\n";
        case ReloadOutcome::Kind::failed: return "error: " + outcome.text + "\n";
        case ReloadOutcome::Kind::refused: return "refused: " + outcome.text + "\n";
    }
    std::abort();
}

std::string answer_to(const std::string& failure) {
    return failure.empty() ? "ok\n" : "error: " + failure + "\n";
}

/// What a service manager or another master listens on, and no server of ours.
void warn_of_unused(const Listeners& inherited, const Listeners& used) {
    for (const auto& entry : inherited.all())
        if (std::none_of(used.all().begin(), used.all().end(),
                         [&](const auto& other) { return other.listener == entry.listener; }))
            spdlog::warn("inherited socket is not in use address={:?}", entry.listener->address().text());
}

}  // namespace

ipc::Result<ipc::UniqueFd> block_master_signals() {
    ::signal(SIGPIPE, SIG_IGN);
    return Signals::block({SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH});
}

Reign::Reign(event_base& loop, Program program, ReadConfig read, Holdings holdings,
             ServiceEnvironment service, ProcessTitle& title, const WorkerMain& run, const WorkerMain& watch,
             const WorkerMain& keep, const PoolMain& serve_pool, const PreloadMain& preload,
             StartReport& report)
    : loop_(loop),
      program_(std::move(program)),
      read_(std::move(read)),
      report_(report),
      control_socket_(std::move(holdings.control)),
      pid_file_(std::move(holdings.pid_file)),
      board_(std::move(holdings.board)),
      keeper_socket_(std::move(holdings.keeper_socket)),
      common_{.loop = loop,
              .board = board_,
              .poison = poison_,
              .title = title,
              .run = run,
              .watch = watch,
              .keep = keep,
              .serve_pool = serve_pool,
              .preload = preload,
              .keeper_socket = keeper_socket_,
              .started_ms = holdings.started_ms},
      inherited_(std::move(holdings.inherited)),
      last_generation_(holdings.generation),
      service_(loop, std::move(service), [this] { return serving_ && serving_->supervisor().healthy(); }),
      reload_(loop, *this),
      upgrade_(loop, [this](const Ending& ending) { on_heir_end(ending); }),
      reopening_(loop, [this] { return generations(); }),
      signals_(loop, std::move(holdings.signals), [this](int number) { on_signal(number); }),
      is_heir_(holdings.is_heir),
      counters_anew_(holdings.counters_anew),
      changed_(ipc::Event::timer<&Reign::on_changed>(this, loop)),
      deadline_(ipc::Event::timer<&Reign::on_deadline>(this, loop)),
      housekeeping_(ipc::Event::timer<&Reign::on_housekeeping>(this, loop)) {
    board_.masters().started_ms.set(common_.started_ms);
    if (!is_heir_) {
        open_control();
        return;
    }
    predecessor_ = ipc::UniqueFd(::pidfd_open(holdings.predecessor, 0));
    if (::getppid() != holdings.predecessor) predecessor_.reset();  // dead, and the number may be another's
    if (!predecessor_) return;
    predecessor_ended_ =
        ipc::Event::calling<&Reign::on_predecessor_end>(this, loop, predecessor_.get(), EV_READ);
    predecessor_ended_.arm();
}

Reign::~Reign() {
    // What has names in the file system stays with whoever is still there: an heir, or the master before us.
    if (!upgrade_.has_heir() && !predecessor_) return;
    if (pid_file_) pid_file_->leave();
    if (control_) control_->leave_file();
    for (Generation* generation : generations()) generation->listeners().keep_files(false);
    inherited_.keep_files(false);
}

int Reign::run(Found first) {
    housekeeping_.arm(housekeeping_time);
    reload_.begin_with(std::move(first), [this](const ReloadOutcome& outcome) { on_first_outcome(outcome); });
    if (state_ != State::gone) event_base_dispatch(&loop_);
    spdlog::info("master leaves status={}", exit_status_);
    return exit_status_;
}

// ---- what is wanted -------------------------------------------------------------------------------

void Reign::on_signal(int number) {
    spdlog::info("signal received signal=SIG{}", ::sigabbrev_np(number));
    const auto log_failure = [](std::string_view what) {
        return [what](const std::string& why, const std::string&) {
            if (!why.empty()) spdlog::error("{} failed, serving goes on why={:?}", what, why);
        };
    };
    switch (number) {
        case SIGTERM:
        case SIGINT: return begin_stop();
        case SIGQUIT: return begin_quit();
        case SIGUSR1: return reopen(std::nullopt);
        case SIGWINCH: return begin_retire();
        case SIGHUP: return reload([](const ReloadOutcome&) {});
        case SIGUSR2: return upgrade(log_failure("upgrade"));
        default: return;
    }
}

void Reign::on_command(Client client, std::string_view command) {
    const auto argument_of = [&](std::string_view name) -> std::optional<std::string_view> {
        if (!command.starts_with(name)) return std::nullopt;
        return command.substr(name.size());
    };
    if (command == "status") return control_->answer(client, "ok\n" + status_text(status()));
    if (command == "status json") return control_->answer(client, "ok\n" + status_json(status()));
    if (command == "jobs ls" || command == "jobs show" || command == "jobs stats")
        return show_the_keeper(client);
    spdlog::info("control command received command={:?}", command);
    if (command == "stop" || command == "quit") {
        control_->answer(client, "ok\n", true);
        return command == "stop" ? begin_stop() : begin_quit();
    }
    if (command == "reopen") return reopen(client);
    if (command == "reload")
        return reload(
            [this, client](const ReloadOutcome& outcome) { control_->answer(client, answer_to(outcome)); });
    if (command == "upgrade")
        return upgrade([this, client](const std::string& why, const std::string& note) {
            const auto told = fmt::format("ok\nmaster {} serves\n{}", upgrade_.pid(), note);
            control_->answer(client, why.empty() ? told : answer_to(why));
        });
    if (const auto level = argument_of("loglevel ")) return set_level(client, *level);
    if (const auto number = argument_of("worker restart ")) return restart_worker(client, *number);
    if (const auto words = argument_of("breaker ")) return force_breaker(client, *words);
    if (argument_of("jobs ")) return show_the_keeper(client);
    control_->answer(client, "error: unknown command\n");
}

void Reign::begin_stop() {
    if (state_ == State::stopping || state_ == State::gone) return;
    upgrade_.cancel("the master is leaving");
    if (state_ == State::starting) {
        report_.failed("stopped before it was ready");
        exit_status_ = 1;
    }
    enter(State::stopping);
    advance();
}

void Reign::begin_quit() {
    upgrade_.cancel("the master is leaving");
    switch (state_) {
        case State::starting: return begin_stop();
        case State::serving: enter(upgrade_.has_heir() ? State::draining : State::unready); return advance();
        case State::retiring:
        case State::idle: enter(State::draining); return advance();
        case State::unready:
        case State::draining:
        case State::stopping:
        case State::gone: return;
    }
}

void Reign::begin_retire() {
    if (state_ != State::serving) return;
    enter(State::retiring);
    advance();
}

void Reign::reload(const Reload::Done& done) {
    const auto refuse = [&](const std::string& why) {
        spdlog::warn("reload refused why={:?}", why);
        done({.kind = ReloadOutcome::Kind::failed, .text = why});
    };
    if (upgrade_.starting()) return refuse("an upgrade is on its way");
    switch (state_) {
        case State::starting: return refuse("the first generation is still starting");
        case State::serving:
            if (upgrade_.has_heir()) return refuse("another master has taken over");
            return reload_.wish(done);
        case State::retiring:
        case State::idle:
            // The heir may have changed what the file means to it: ours come back as they were.
            if (upgrade_.has_heir()) return reload_.begin_with(kept(), done);
            return reload_.wish(done);
        case State::unready:
        case State::draining:
        case State::stopping:
        case State::gone: return refuse("the master is leaving");
    }
}

void Reign::upgrade(Upgrade::Done done) {
    const auto refuse = [&](const std::string& why) { done(why, {}); };
    if (upgrade_.starting()) return refuse("an upgrade is on its way already");
    if (upgrade_.has_heir()) return refuse("another master has taken over already");
    if (state_ != State::serving) return refuse("the master does not serve");
    if (!reload_.idle()) return refuse("a reload is on its way");
    if (predecessor_) return refuse("the master before this one has not left yet");
    const auto& plan = serving_->plan();
    program_.arguments = {program_.path};
    if (!plan.path.empty()) program_.arguments.insert(program_.arguments.end(), {"-c", plan.path});
    const Offer offer{.generation = last_generation_,
                      .started_ms = common_.started_ms,
                      .listeners = &serving_->listeners(),
                      .board = board_.fd(),
                      .pid_file = pid_file_ ? pid_file_->fd() : -1,
                      .pid_file_path = pid_file_ ? pid_file_->path() : std::string(),
                      .control = control_ ? control_->fd() : -1,
                      .control_path = plan.reeve.control,
                      .keeper_listener = keeper_socket_ ? keeper_socket_->listener() : -1,
                      .keeper_address = keeper_socket_ ? keeper_socket_->address() : -1};
    upgrade_.begin(program_, offer, plan.reeve.start_timeout, service_.environment().variables(),
                   [this, done = std::move(done)](const std::string& why, const std::string& note) {
                       auto& masters = board_.masters();  // whoever is told finds it counted
                       (why.empty() ? masters.upgrades : masters.upgrade_failures).add_shared();
                       done(why, note);
                       on_heir(why);
                   });
}

void Reign::reopen(std::optional<Client> client) {
    reopening_.begin([this, client](const std::string& failure) {
        if (client) control_->answer(*client, answer_to(failure));
    });
}

void Reign::set_level(Client client, std::string_view level) {
    const auto number = ipc::log_level(level);
    if (!number)
        return control_->answer(client, "error: not one of trace, debug, info, warn, error, critical, off\n");
    for (Generation* generation : generations()) {
        generation->logs().set_level(*number);
        generation->tell_all(ipc::SetLevel{.level = static_cast<std::uint32_t>(*number)});
    }
    control_->answer(client, "ok\n");
}

/// "open NAME", "close NAME", "auto NAME".
void Reign::force_breaker(Client client, std::string_view words) {
    const auto space = words.find(' ');
    const auto word = words.substr(0, space);
    const auto index = space == words.npos ? 0 : board_.upstream(words.substr(space + 1));
    if (index == 0) return control_->answer(client, "error: there is no such upstream\n");
    const auto force = word == "open"    ? ipc::BreakerForce::open
                       : word == "close" ? ipc::BreakerForce::closed
                                         : ipc::BreakerForce::automatic;
    const auto name = words.substr(space + 1);
    spdlog::info("breaker is told upstream={} word={}", name, word);
    if (const auto changed = board_.upstream_cell(index).breaker.force(force, ipc::monotonic_ms()))
        spdlog::warn("breaker changed upstream={} from={} to={} cause={}", name, ipc::name(changed->from),
                     ipc::name(changed->to), ipc::name(changed->cause));
    control_->answer(client, "ok\n");
}

void Reign::restart_worker(Client client, std::string_view text) {
    const auto number = conf::parse_number(text, 0, 1u << 20);
    if (!number) return control_->answer(client, "error: not the number of a worker\n");
    if (state_ != State::serving) return control_->answer(client, "error: the master does not serve\n");
    const auto begun =
        serving_->supervisor().recycle(static_cast<std::uint32_t>(*number), ipc::RestartCause::asked);
    control_->answer(client, begun ? "ok\n" : "error: " + begun.error().text() + "\n");
}

/// Whoever asks about jobs asks the keeper, not us: with its address, and what the generation that serves was
/// told; and why nothing can be stored, if so.
void Reign::show_the_keeper(Client client) {
    if (!serving_ || serving_->keeper() == nullptr || !keeper_socket_)
        return control_->answer(client, "error: no jobs are kept: there is no [queue]\n");
    std::vector<ipc::UniqueFd> descriptors;
    for (const int fd : {keeper_socket_->address(), serving_->config()})
        descriptors.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!descriptors[0] || !descriptors[1])
        return control_->answer(client, "error: " + ipc::system_error("dup").value().text() + "\n");
    const auto& jobs = board_.jobs();
    control_->hand_out(client,
                       fmt::format("ok\n{}\n{}\n", REEVE_VERSION,
                                   jobs.unable_since_ms.get() == 0 ? std::string() : jobs.unable_why.get()),
                       std::move(descriptors));
}

// ---- what happens ---------------------------------------------------------------------------------

/// Called from inside generations: they are looked at when that is over.
void Reign::on_change() { changed_.arm(milliseconds{0}); }

void Reign::on_changed(short) {
    reload_.check();
    reopening_.check();
    std::erase_if(leaving_, [](const auto& generation) {
        if (!generation->gone()) return false;
        spdlog::info("generation has left generation={}", generation->number());
        return true;
    });
    order_keepers();
    advance();
}

/// The one that has the store goes last: the others tell it what has come of their jobs.
void Reign::order_keepers() {
    bool older = false;
    for (Generation* generation : generations()) {
        generation->keep_longer(older);
        older = older || generation->keeper_running();
    }
}

void Reign::on_first_outcome(const ReloadOutcome& outcome) {
    if (outcome.kind == ReloadOutcome::Kind::done || state_ != State::starting) return;
    spdlog::critical("cannot start why={:?}", outcome.text);
    report_.failed(outcome.text);
    exit_status_ = 1;
    enter(State::stopping);
    on_change();
}

void Reign::on_deadline(short) {
    if (state_ == State::unready) enter(State::draining);
    advance();
}

void Reign::on_housekeeping(short) {
    housekeeping_.arm(housekeeping_time);
    publish_listeners();
    const auto now = ipc::monotonic_ms();
    if (!serving_ || state_ == State::starting || now < moved_logs_tried_ms_) return;
    if (!serving_->logs().moved()) return;
    spdlog::info("a log file was moved away");
    moved_logs_tried_ms_ = now + moved_logs_again_ms;
    reopening_.begin([this](const std::string& failure) {
        if (failure.empty()) moved_logs_tried_ms_ = 0;
    });
}

void Reign::on_heir(const std::string& why) {
    if (!why.empty()) {
        spdlog::error("upgrade failed, serving goes on why={:?}", why);
        if (serving_) serving_->supervisor().settle();
        return;
    }
    spdlog::info("another master has taken over pid={}", upgrade_.pid());
    service_.main_pid(upgrade_.pid());
    if (control_) control_->pause();
    const bool leaving = state_ != State::serving && state_ != State::retiring && state_ != State::idle;
    if (leaving || serving_->plan().reeve.upgrade == conf::Upgrade::manual) return;
    enter(State::draining);
    on_change();
}

/// It did take over, and is gone before us. If somebody ended it while we drain, both are to end.
void Reign::on_heir_end(const Ending& ending) {
    if (control_) control_->resume();
    if (state_ == State::stopping || state_ == State::gone || !serving_) return;
    if (state_ == State::draining && ending.signal == 0 && ending.status == 0) return;
    take_back();
}

void Reign::take_back() {
    spdlog::warn("this master serves again");
    service_.main_pid(::getpid());
    if (pid_file_)
        if (const auto written = pid_file_->write(); !written)
            spdlog::error("pid file not written why={:?}", written.error().text());
    if (state_ == State::serving) {
        if (const auto listening = serving_->listeners().listen(); !listening)
            spdlog::error("cannot listen again why={:?}", listening.error().text());
        return serving_->supervisor().settle();
    }
    enter(State::idle);
    reload_.begin_with(kept(), [this](const ReloadOutcome& outcome) {
        if (outcome.kind == ReloadOutcome::Kind::done) return;
        exit_status_ = 1;
        begin_stop();
    });
}

void Reign::on_predecessor_end(short) {
    spdlog::info("the master before this one has left");
    predecessor_ended_ = ipc::Event();
    predecessor_.reset();
    if (!serving_) return;
    serving_->supervisor().hold_sockets(false);
    serving_->supervisor().settle();
}

void Reign::advance() {
    if (state_ == State::retiring && all_gone()) enter(State::idle);
    if ((state_ == State::draining || state_ == State::stopping) && all_gone()) enter(State::gone);
    if (state_ == State::gone) event_base_loopbreak(&loop_);
}

/// What begins with each state.
void Reign::enter(State next) {
    state_ = next;
    spdlog::debug("master state={}", name(next));
    order_keepers();
    deadline_.disarm();
    switch (next) {
        case State::starting: return;
        case State::serving: return announce();
        case State::unready:
            reload_.cancel("the master is leaving");
            service_.stopping("draining");
            serving_->supervisor().unready();
            return deadline_.arm(serving_->plan().reeve.drain_delay);
        case State::draining:
            reload_.cancel("the master is leaving");
            if (upgrade_.has_heir()) {
                serving_->give_up_jobs();
                return serving_->drain_keeping_sockets();
            }
            service_.stopping("draining");
            if (predecessor_) return serving_->drain_keeping_sockets();  // they are its sockets too
            return serving_->drain({});
        case State::retiring:
            reload_.cancel("the workers are leaving");
            if (upgrade_.has_heir()) serving_->give_up_jobs();
            return serving_->drain_keeping_sockets();
        case State::idle: spdlog::info("all workers have left, the master stays"); return;
        case State::stopping:
            reload_.cancel("the master is leaving");
            service_.stopping("stopping");
            for (Generation* generation : generations()) generation->stop();
            return;
        case State::gone: return;
    }
}

void Reign::announce() {
    if (std::exchange(announced_, true)) return;
    if (pid_file_) {
        pid_file_->keep();
        if (const auto written = pid_file_->write(); !written)
            spdlog::error("pid file not written why={:?}", written.error().text());
    }
    serving_->listeners().keep_files(true);
    if (is_heir_) open_control();
    for (const auto& entry : serving_->listeners().all())
        spdlog::info("listening address={:?}", entry.listener->address().text());
    spdlog::info("ready version={} pid={} workers={} config={:?}", REEVE_VERSION, ::getpid(),
                 serving_->plan().workers, serving_->plan().path);
    if (counters_anew_) spdlog::warn("the master before has another layout of counters: ours start anew");
    report_.succeeded(counters_anew_ ? "warning: the counters start anew, their layout is another one\n"
                                     : "");
}

void Reign::open_control() {
    if (!control_socket_) return;
    control_socket_->keep();
    control_ = std::make_unique<ControlServer>(
        loop_, std::move(*control_socket_),
        [this](Client client, std::string_view command) { on_command(client, command); });
    control_socket_.reset();
}

// ---- generations ----------------------------------------------------------------------------------

milliseconds Reign::start_timeout() const { return serving_->plan().reeve.start_timeout; }

ipc::Result<std::unique_ptr<Generation>> Reign::prepare(Found found) {
    const auto& before = serving_ ? serving_->listeners() : inherited_;
    if (serving_ && (found.plan.reeve.pid_file != serving_->plan().reeve.pid_file ||
                     found.plan.reeve.control != serving_->plan().reeve.control))
        spdlog::warn("another pid_file or control takes effect with the next start or upgrade");
    auto prepared =
        Generation::prepare(common_, std::move(found), before, ++last_generation_, [this] { on_change(); });
    if (prepared && !serving_)  // what the start has to say belongs there too
        if (auto used = (*prepared)->logs().use(); !used) return tl::make_unexpected(std::move(used.error()));
    return prepared;
}

ipc::Result<void> Reign::commit(std::unique_ptr<Generation>& candidate) {
    candidate->supervisor().hold_sockets(static_cast<bool>(predecessor_));
    if (auto serves = candidate->serve(); !serves) {
        if (serving_) serving_->supervisor().take_over_leftovers();
        return serves;
    }
    if (const auto used = candidate->logs().use(); !used)
        spdlog::error("error log not in use why={:?}", used.error().text());
    if (serving_) candidate->follow(*serving_);
    auto before = std::exchange(serving_, std::move(candidate));
    spdlog::info("generation serves generation={} workers={}", serving_->number(), serving_->plan().workers);
    if (before) {
        if (serving_->keeper() != nullptr) {
            const auto& store = serving_->plan().job_store;
            before->give_up_jobs_to(store);
            for (auto& leaving : leaving_) leaving->give_up_jobs_to(store);  // it may be one of theirs again
        }
        before->drain(predecessor_ ? before->listeners() : serving_->listeners());
        leaving_.push_back(std::move(before));
        bound_generations();
    }
    if (is_heir_ && serving_->plan().reeve.upgrade == conf::Upgrade::unattended)
        inherited_.leave_to(serving_->listeners());
    warn_of_unused(inherited_, serving_->listeners());
    inherited_.close();
    board_.masters().generation.set(serving_->number());
    board_.masters().last_reload_unix.set(static_cast<std::uint64_t>(std::time(nullptr)));
    if (announced_) board_.masters().reloads.add_shared();
    publish_listeners();
    enter(State::serving);
    service_.ready(
        fmt::format("generation {} serves, workers {}", serving_->number(), serving_->plan().workers));
    return {};
}

void Reign::discard(std::unique_ptr<Generation> candidate) {
    spdlog::error("generation given up generation={}", candidate->number());
    candidate->stop();
    leaving_.push_back(std::move(candidate));
    on_change();
}

/// The oldest that still takes its time is ended.
void Reign::bound_generations() {
    const auto most = serving_->plan().reeve.generations_max;
    auto draining = static_cast<std::size_t>(std::count_if(
        leaving_.begin(), leaving_.end(), [](const auto& generation) { return generation->draining(); }));
    for (auto& generation : leaving_) {
        if (draining <= most) return;
        if (!generation->draining()) continue;
        spdlog::warn("too many old generations, the oldest is ended generation={}", generation->number());
        generation->stop();
        --draining;
    }
}

void Reign::failed(const std::string& why) {
    if (state_ == State::starting) return;  // no reload, and said elsewhere
    board_.masters().reload_failures.add_shared();
    spdlog::error("reload failed, serving goes on why={:?}", why);
    service_.ready("serving; the last reload failed: " + why);
}

Found Reign::kept() const {
    Found found;
    found.plan = serving_->plan();
    found.text = ipc::UniqueFd(::fcntl(serving_->config(), F_DUPFD_CLOEXEC, 3));
    return found;
}

bool Reign::all_gone() const {
    const auto all = generations();
    return std::all_of(all.begin(), all.end(),
                       [](const Generation* generation) { return generation->gone(); });
}

std::vector<Generation*> Reign::generations() const {
    std::vector<Generation*> all;
    for (const auto& generation : leaving_) all.push_back(generation.get());
    if (serving_) all.push_back(serving_.get());
    if (auto* candidate = const_cast<Generation*>(reload_.candidate())) all.push_back(candidate);
    return all;
}

/// For the metrics of every worker.
void Reign::publish_listeners() {
    if (!serving_) return;
    const auto& entries = serving_->listeners().all();
    for (std::size_t index = 0; index < ipc::listener_cells; ++index) {
        auto& cell = board_.listener(index);
        if (index >= entries.size()) {
            cell.address.clear();
            continue;
        }
        cell.address.set(entries[index].listener->address().text());
        cell.pending.set(entries[index].listener->pending().value_or(0));
    }
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
        case State::gone: return "gone";
    }
    std::abort();
}

Status Reign::status() const {
    const auto now = ipc::monotonic_ms();
    Status status;
    status.master.pid = ::getpid();
    status.master.state = name(state_);
    status.master.config = serving_ ? serving_->plan().path : std::string();
    status.master.generation = serving_ ? serving_->number() : last_generation_;
    status.master.age_ms = now - common_.started_ms;
    status.master.reloads = board_.masters().reloads.get();
    status.master.reload_failures = board_.masters().reload_failures.get();
    status.master.upgrades = board_.masters().upgrades.get();
    status.master.totals = board_.totals();
    status.master.latency = board_.latency();
    status.master.usage = process_usage(::getpid()).value_or(ProcessUsage{});
    auto all = generations();
    std::reverse(all.begin(), all.end());  // newest first
    for (const Generation* generation : all) {
        for (auto& worker : worker_statuses(generation->supervisor(), board_, now))
            status.workers.push_back(std::move(worker));
        const auto& sentinel = generation->sentinel();
        if (sentinel.wanted() || sentinel.running())
            status.sentinels.push_back(
                {.generation = generation->number(), .pid = sentinel.pid(), .restarts = sentinel.restarts()});
        if (const auto* keeper = generation->keeper();
            keeper != nullptr && (keeper->wanted() || keeper->running()))
            status.keepers.push_back(
                {.generation = generation->number(), .pid = keeper->pid(), .restarts = keeper->restarts()});
        if (const auto* preloader = generation->preloader();
            preloader != nullptr && (preloader->wanted() || preloader->running()))
            status.preloaders.push_back({.generation = generation->number(),
                                         .pid = preloader->pid(),
                                         .restarts = preloader->restarts()});
        if (const auto* pools = generation->pools())
            for (auto& pool : pool_statuses(pools->table(), generation->number(), now))
                status.pools.push_back(std::move(pool));
    }
    if (serving_ && serving_->keeper() != nullptr)
        status.jobs = jobs_status(board_.jobs(), static_cast<std::uint64_t>(std::time(nullptr)) * 1000);
    if (serving_) status.listeners = listener_statuses(serving_->listeners(), serving_->plan().queues());
    status.upstreams = ipc::report_upstreams(board_, now);
    status.names = ipc::report_names(board_, now);
    status.peers = ipc::report_peers(board_, now);
    look_at_memory(status);
    return status;
}

}  // namespace master
