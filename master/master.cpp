// master/master.cpp: takes hold of everything in the one right order, then reigns.
#include "master/master.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "conf/plan.h"
#include "master/limits.h"
#include "master/reign.h"

namespace master {
namespace {

/// The lock first: nothing is touched while another instance serves.
ipc::Result<Holdings> take_hold(const conf::Config& config, std::uint32_t workers) {
    const auto& reeve = config.reeve;
    std::optional<PidFile> pid_file;
    if (!reeve.pid_file.empty()) {
        auto locked = PidFile::lock(reeve.pid_file);
        if (!locked) return tl::make_unexpected(std::move(locked.error()));
        pid_file.emplace(std::move(*locked));
    }
    if (auto raised = raise_open_files(reeve.open_files); !raised)
        return tl::make_unexpected(std::move(raised.error()));
    auto logs = Logs::open(reeve, conf::access_log_paths(config));
    if (!logs) return tl::make_unexpected(std::move(logs.error()));
    auto listeners = Listeners::bind(conf::listen_plan(config), config.execution.accept, workers);
    if (!listeners) return tl::make_unexpected(std::move(listeners.error()));
    std::optional<UnixSocket> control;
    if (!reeve.control.empty()) {
        auto bound = ControlServer::bind(reeve.control);
        if (!bound) return tl::make_unexpected(std::move(bound.error()));
        control.emplace(std::move(*bound));
    }
    auto board = ipc::Scoreboard::make();
    if (!board) return tl::make_unexpected(std::move(board.error()));
    auto signals = block_master_signals();
    if (!signals) return tl::make_unexpected(std::move(signals.error()));
    return Holdings{.control = std::move(control),
                    .pid_file = std::move(pid_file),
                    .logs = std::move(*logs),
                    .listeners = std::move(*listeners),
                    .board = std::move(*board),
                    .signals = std::move(*signals)};
}

}  // namespace

int run(const conf::Config& config, ProcessTitle& title, const WorkerMain& run, StartReport& report) {
    const auto workers =
        config.execution.workers == conf::automatic ? usable_cpus() : config.execution.workers;
    auto holdings = take_hold(config, workers);
    if (!holdings) {
        report.failed(holdings.error().text());
        return 1;
    }
    const ipc::EventBase loop(event_base_new());
    if (!loop) {
        report.failed("no event loop: the system lets us open no more files");
        return 1;
    }
    title.set("reeve: master");
    Reign reign(*loop, config, workers, std::move(*holdings), title, run, report);
    return reign.run();
}

}  // namespace master
