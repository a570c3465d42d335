#include "worker/process.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "conf/models.h"
#include "conf/plan.h"
#include "worker/buffer_path.h"
#include "worker/crash_handler.h"
#include "worker/crew.h"
#include "worker/error_log.h"
#include "worker/life.h"
#include "worker/limits.h"
#include "worker/privileges.h"
#include "worker/sandbox.h"

namespace worker {
namespace {

/// The largest of the servers' limits: connections are counted before anyone knows their server.
std::uint64_t connections_max(const conf::Config& config) {
    std::uint64_t most = 0;
    for (const conf::Server& server : config.servers) {
        if (server.limits.connections_max == 0) return 0;
        most = std::max(most, server.limits.connections_max);
    }
    return most;
}

ipc::Result<std::unique_ptr<observe::LogWriter>> start_log_writer(const conf::Config& config,
                                                                  ipc::Seat& seat) {
    const std::vector<std::string> paths = conf::access_log_paths(config);
    std::vector<observe::LogWriter::Target> targets;
    for (std::size_t i = 0; i < seat.access_logs.size() && i < paths.size(); ++i)
        targets.push_back({std::move(seat.access_logs[i]), paths[i]});
    if (targets.size() != paths.size()) return ipc::failure("the seat has too few access logs");
    return observe::LogWriter::start(std::move(targets));
}

/// As many as the master has counted rows for: what `auto` means is for it to say.
conf::Crew crew_of(const conf::Config& config, const ipc::Seat& seat) {
    conf::Crew crew = conf::crew_of(config.execution, seat.loops);
    crew.loops = seat.loops;
    crew.threads = seat.threads;
    return crew;
}

/// To the master, who knows neither which there are nor where they lie.
void introduce(const module::Modules& modules, ipc::WorkerCell& cell) {
    std::vector<ObjectMap::Named> named;
    named.reserve(modules.all().size());
    std::string names;
    for (const module::Module& module : modules.all()) {
        named.push_back({module.name(), module.inside()});
        names += (names.empty() ? "" : ",") + module.name();
    }
    cell.modules.set(names);
    note_crashes(cell.crash, ObjectMap::of_process(named));
}

/// Builds what all loops share, then the loops, and lives in them.
ipc::Result<void> serve(const Loaded& loaded, ipc::Seat& seat) {
    const conf::Config& config = loaded.config;
    introduce(loaded.modules, *seat.cell);
    seat.cell->tenant.thread.set(static_cast<std::uint64_t>(::gettid()));
    if (auto limited = limit_core(config.reeve.core_max); !limited) return limited;
    if (config.execution.cpu_affinity && seat.loops == 1)
        if (auto stays = stay_on_processor(seat.slot); !stays) return stays;
    if (auto dropped = drop_privileges(config.reeve.user, seat.master_pid); !dropped) return dropped;
    auto buffer_path = open_buffer_path(config);
    if (!buffer_path && !seat.started) return tl::make_unexpected(std::move(buffer_path.error()));
    if (!buffer_path) {
        spdlog::error("bodies have no files why={:?}", buffer_path.error().text());
        buffer_path = std::nullopt;
    }
    const bool unlinks = *buffer_path && (*buffer_path)->names_files();
    if (*buffer_path)
        ::signal(SIGXFSZ, SIG_IGN);  // a file at the limit of RLIMIT_FSIZE is full, and no crash
    if (conf::workers_are_sandboxed(config))
        if (auto entered = enter_sandbox(
                !config.upstreams.empty() || !config.pools.empty() || !config.queues.empty(), false, unlinks);
            !entered)
            return entered;
    auto log_writer = start_log_writer(config, seat);
    if (!log_writer) return tl::make_unexpected(log_writer.error());

    std::atomic<bool> ready{false};
    const std::vector<conf::Listen> plan = conf::listen_plan(config);
    const dispatch::Router router(config, plan);
    connection::Census census({.max = connections_max(config), .spared = conf::never_shed_addresses(config)});
    connection::BufferTotals buffer_totals(
        {.memory = config.execution.buffer_memory_total, .file = config.execution.buffer_file_total});
    auto thread_pools = execution::ThreadPools::start(
        config, seat.pools, seat.scoreboard->index_of(*seat.cell),
        [](const execution::ThreadPool::Note& note, const std::function<void()>& live) {
            const NotedPoolThread noted(note);
            live();
        });
    if (!thread_pools) return tl::make_unexpected(std::move(thread_pools.error()));
    const House house{
        .config = config,
        .seat = seat,
        .crew = crew_of(config, seat),
        .plan = plan,
        .router = router,
        .log_writer = **log_writer,
        .thread_pools = *thread_pools,
        .census = census,
        .buffer_totals = buffer_totals,
        .spill_folder = *buffer_path,
        .ready = ready,
        .modules = loaded.modules,
        .about = {.facts = {.slot = seat.slot, .pid = static_cast<int>(::getpid())},
                  .generation = seat.generation,
                  .workers = seat.workers,
                  .started_ms = seat.started_ms,
                  .master_pid = seat.master_pid},
    };
    Crew crew(house, [&seat] { (void)seat.channel.send(ipc::Occupied{}); });  // failed: the master is gone
    Life life({config, crew, **log_writer, ready}, seat);
    if (auto begun = life.begin(); !begun) return begun;
    spdlog::info("ready generation={}", seat.generation);
    crew.loop().run();
    spdlog::info("leaving connections={}", crew.connections());
    return {};
}

}  // namespace

int run(const Loaded& loaded, ipc::Seat seat) {
    const conf::Config& config = loaded.config;
    if (auto opened = open_error_log(config.reeve, worker_role(seat.slot), ipc::log_descriptor()); !opened)
        return EXIT_FAILURE;
    const auto served = serve(loaded, seat);
    if (served) return EXIT_SUCCESS;
    spdlog::error("worker cannot serve why={:?}", served.error().text());
    (void)seat.channel.send(ipc::Failed{.why = served.error().text()});
    return EXIT_FAILURE;
}

}  // namespace worker
