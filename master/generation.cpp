// master/generation.cpp: prepared as a whole or not at all, ended in steps that get harsher.
#include "master/generation.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "ipc/clock.h"
#include "master/limits.h"

namespace master {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds stop_time{1000};      ///< from Stop to TERM
constexpr milliseconds terminate_time{500};  ///< from TERM to KILL
constexpr milliseconds drain_grace{1000};    ///< beyond shutdown_timeout, which workers keep themselves

}  // namespace

ipc::Result<std::unique_ptr<Generation>> Generation::prepare(const Common& common, Found found,
                                                             const Listeners& before, std::uint32_t number,
                                                             std::function<void()> on_change) {
    const auto& plan = found.plan;
    if (auto raised = raise_open_files(plan.reeve.open_files); !raised)
        return tl::make_unexpected(std::move(raised.error()));
    auto logs = Logs::open(plan.reeve, plan.access_logs);
    if (!logs) return tl::make_unexpected(std::move(logs.error()));
    const auto sharing = plan.processes_max > 0 ? Sharing::polled() : Sharing(plan.accept);
    auto listeners = Listeners::bind(plan.listens, sharing, plan.workers * plan.queues(), before);
    if (!listeners) return tl::make_unexpected(std::move(listeners.error()));
    for (const auto& route : plan.routes) common.board.add_route(route);
    for (const auto& queue : plan.job_queues) common.board.add_job_queue(queue);
    for (const auto& schedule : plan.job_schedules) common.board.add_job_schedule(schedule);
    for (const auto& [upstream, address] : plan.peers) {
        common.board.add_upstream(upstream);
        common.board.add_peer(upstream, address);
    }
    for (const auto& name : plan.names) {
        common.board.add_upstream(name.upstream);
        if (common.board.add_name(name.upstream, name.name) == 0)
            return tl::make_unexpected(
                ipc::Error{"too many names of peers, " + name.name + " among them", {}});
        common.board.add_places(name.upstream, name.name, name.places);
    }
    std::unique_ptr<Generation> made(new Generation(common, std::move(found), std::move(*logs),
                                                    std::move(*listeners), number, std::move(on_change)));
    if (auto pools = made->prepare_pools(common); !pools)
        return tl::make_unexpected(std::move(pools.error()));
    if (auto keeper = made->prepare_keeper(common); !keeper)
        return tl::make_unexpected(std::move(keeper.error()));
    made->prepare_preloader(common);
    return made;
}

ipc::Result<void> Generation::prepare_keeper(const Common& common) {
    if (plan_.job_queues.empty() || !common.keep) return {};
    if (auto opened = KeeperSocket::open_once(common.keeper_socket); !opened) return opened;
    milliseconds grace{0};
    for (const auto& pool : plan_.pools) grace = std::max(grace, pool.kill_grace);
    auto keeper = Keeper::make({.process = {.loop = common.loop,
                                            .logs = logs_,
                                            .config = text_.get(),
                                            .board = common.board,
                                            .title = common.title,
                                            .run = common.keep,
                                            .watchdog = plan_.reeve.watchdog,
                                            .start_timeout = plan_.reeve.start_timeout * 9 / 10,
                                            .generation = number()},
                                .socket = *common.keeper_socket,
                                .kill_grace = grace,
                                .pools = pools_.get()},
                               [this] { on_keeper(); });
    if (!keeper) return tl::make_unexpected(std::move(keeper.error()));
    keeper_ = std::move(*keeper);
    supervisor_.send_jobs_to(common.keeper_socket->address());
    return {};
}

void Generation::prepare_preloader(const Common& common) {
    if (!plan_.preload || !common.preload) return;
    preloader_ = std::make_unique<Preloader>(
        Preloader::Surroundings{.loop = common.loop,
                                .logs = logs_,
                                .title = common.title,
                                .load = common.preload,
                                .config = text_.get(),
                                .start_timeout = plan_.reeve.start_timeout,
                                .generation = number()},
        [this](ipc::Channel channel, const WorkerMain& run) {
            return supervisor_.sit(std::move(channel), run);
        },
        [this] {
            if (!ending_) supervisor_.on_preloader();
            on_change_();
        });
    supervisor_.use(preloader_.get());
}

ipc::Result<void> Generation::prepare_pools(const Common& common) {
    if (plan_.pools.empty()) return {};
    auto pools = Pools::prepare({.loop = common.loop,
                                 .serve = common.serve_pool,
                                 .config = text_.get(),
                                 .title = &common.title,
                                 .user = plan_.reeve.user.empty() ? "www-data" : plan_.reeve.user,
                                 .start_timeout = plan_.reeve.start_timeout * 9 / 10,
                                 .generation = number()},
                                plan_.pools, on_change_);
    if (!pools) return tl::make_unexpected(std::move(pools.error()));
    pools_ = std::move(*pools);
    supervisor_.use(pools_.get());
    return {};
}

Generation::Generation(const Common& common, Found found, Logs logs, Listeners listeners,
                       std::uint32_t number, std::function<void()> on_change)
    : plan_(std::move(found.plan)),
      text_(std::move(found.text)),
      logs_(std::move(logs)),
      listeners_(std::move(listeners)),
      board_(common.board),
      on_change_(std::move(on_change)),
      supervisor_({.loop = common.loop,
                   .listeners = listeners_,
                   .logs = logs_,
                   .plan = plan_,
                   .config = text_.get(),
                   .board = common.board,
                   .poison = common.poison,
                   .title = common.title,
                   .run = common.run,
                   .generation = number,
                   .started_ms = common.started_ms},
                  [this] { on_workers(); }),
      sentinel_({.loop = common.loop,
                 .logs = logs_,
                 .config = text_.get(),
                 .board = common.board,
                 .title = common.title,
                 .run = common.watch,
                 .watchdog = plan_.reeve.watchdog,
                 .start_timeout = plan_.reeve.start_timeout,
                 .generation = number},
                on_change_),
      deadline_(ipc::Event::timer<&Generation::on_deadline>(this, common.loop)) {}

/// Pools have work as long as there are workers.
void Generation::on_workers() {
    const bool needed = supervisor_.running() > 0 || (keeper_ && keeper_->keeps() && older_keep_);
    if (ending_ && keeper_ && !needed && !std::exchange(keeper_told_, true)) keeper_->alone(hurried_);
    on_keeper();
}

/// And for its keeper.
void Generation::on_keeper() {
    const bool over = ending_ && supervisor_.running() == 0 && !keeper_running();
    if (over && pools_ && !std::exchange(pools_told_, true)) pools_->stop(hurried_);
    on_change_();
}

std::optional<std::string> Generation::start_failure() const {
    if (supervisor_.start_failure()) return supervisor_.start_failure();
    if (keeper_ && keeper_->start_failure()) return keeper_->start_failure();
    return pools_ ? pools_->start_failure() : std::nullopt;
}

void Generation::start() {
    if (preloader_) {
        auto kept = pools_ ? pools_->table().descriptors() : std::vector<int>();
        kept.push_back(supervisor_.keeper_address());
        preloader_->start(std::move(kept));
    }
    if (keeper_) keeper_->start();
    supervisor_.start();
    if (pools_) pools_->start();
    if (plan_.names.empty()) return;
    term_ = board_.sentinel().lease.draw();
    sentinel_.start(term_);
}

bool Generation::started() const {
    return supervisor_.started() && (!pools_ || pools_->started()) && (!keeper_ || keeper_->started()) &&
           (plan_.names.empty() || sentinel_.resolved());
}

void Generation::follow(const Generation& before) {
    if (pools_ && before.pools_) pools_->table().add_counters_of(before.pools_->table());
}

ipc::Result<void> Generation::serve() {
    if (auto serves = supervisor_.serve(); !serves) return serves;
    // Not earlier: a generation that is given up must not have told anybody of peers.
    auto& lease = board_.sentinel().lease;
    if (term_ == 0) term_ = lease.draw();
    (void)lease.hold(term_, ipc::monotonic_ms());
    forget_unchecked();
    forget_unlimited();
    if (!plan_.checked.empty()) sentinel_.start(term_);
    sentinel_.serve();
    if (keeper_) keeper_->serve();
    return {};
}

/// What nobody checks any more is neither up nor down.
void Generation::forget_unchecked() {
    std::set<std::uint32_t> checked;
    for (const auto& [upstream, address] : plan_.peers)
        if (std::find(plan_.checked.begin(), plan_.checked.end(), upstream) != plan_.checked.end())
            checked.insert(board_.peer(upstream, address));
    for (const auto& name : plan_.names)
        if (std::find(plan_.checked.begin(), plan_.checked.end(), name.upstream) != plan_.checked.end())
            for (std::uint32_t number = 0; number < name.places; ++number)
                checked.insert(board_.place(name.upstream, name.name, number));
    for (std::uint32_t index = 1; index < board_.peers_used(); ++index)
        if (!checked.contains(index)) board_.peer_cell(index).health.forget();
}

/// A limit that nobody keeps is not shown.
void Generation::forget_unlimited() {
    std::set<std::uint32_t> limited;
    for (const auto& name : plan_.limited) limited.insert(board_.upstream(name));
    for (std::uint32_t index = 1; index < board_.upstreams_used(); ++index)
        if (!limited.contains(index)) board_.upstream_cell(index).concurrency.forget();
}

void Generation::tell_all(const ipc::Message& message) {
    supervisor_.tell_all(message);
    sentinel_.tell(message);
    if (keeper_) keeper_->tell(message);
}

std::uint32_t Generation::reopen() {
    const auto request = supervisor_.reopen();
    sentinel_.reopen(request);
    if (keeper_) keeper_->reopen(request);
    return request;
}

std::vector<std::string> Generation::unconfirmed(std::uint32_t request) const {
    std::vector<std::string> names;
    for (const auto slot : supervisor_.unconfirmed(request))
        names.push_back("worker " + std::to_string(slot));
    if (!sentinel_.confirmed(request)) names.emplace_back("sentinel");
    if (keeper_ && !keeper_->confirmed(request)) names.emplace_back("keeper");
    return names;
}

void Generation::give_up_jobs() {
    if (keeper_) keeper_->succeed(false);
}

void Generation::give_up_jobs_to(const std::string& store) {
    if (keeper_) keeper_->succeed(store != plan_.job_store);
}

void Generation::keep_longer(bool older_run) {
    if (std::exchange(older_keep_, older_run) != older_run) on_workers();
}

void Generation::drain(const Listeners& next) {
    if (ending_) return close_sockets();
    if (&next != &listeners_) listeners_.leave_to(next);
    drain_keeping_sockets();
    listeners_.close();  // each worker takes what waits, then closes too
}

void Generation::drain_keeping_sockets() {
    if (ending_) return;
    ending_ = true;
    const auto limit = plan_.reeve.shutdown_timeout;
    spdlog::info("draining generation={} timeout_ms={}", number(), limit.count());
    supervisor_.drain(limit);
    if (preloader_) preloader_->stop();
    if (keeper_) keeper_->drain(limit);
    sentinel_.stop();  // the workers that drain hear what the next one says
    escalate(SIGKILL, limit + drain_grace);
    on_workers();
}

void Generation::close_sockets() { listeners_.close(); }

void Generation::stop() {
    ending_ = hurried_ = true;
    supervisor_.stop();
    if (preloader_) preloader_->stop();
    sentinel_.stop();
    if (keeper_) keeper_->drain(milliseconds(0));
    if (keeper_ && keeper_told_) keeper_->alone(true);  // sooner than it was told before
    if (pools_) pools_->hurry();                        // the keeper waits for what it ends
    if (pools_told_) pools_->stop(true);                // they may have begun to leave in their own time
    escalate(SIGTERM, stop_time);
    on_workers();
}

void Generation::escalate(int signal, milliseconds after) {
    next_signal_ = signal;
    deadline_.arm(after);
}

void Generation::on_deadline(short) {
    if (supervisor_.running() == 0) return;
    if (next_signal_ == SIGTERM) {
        supervisor_.signal(SIGTERM);
        return escalate(SIGKILL, terminate_time);
    }
    spdlog::error("workers do not leave and are killed workers={} generation={}", supervisor_.running(),
                  number());
    supervisor_.signal(SIGKILL);
}

}  // namespace master
