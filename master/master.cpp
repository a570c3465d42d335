// master/master.cpp: takes hold of everything in the one right order, then reigns.
#include "master/master.h"

#include <event2/event.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

#include "ipc/clock.h"
#include "ipc/event.h"
#include "master/reign.h"

namespace master {
namespace {

/// What another master gave us, if it is what the configuration asks for.
template <class Held>
std::optional<Held> inherited(std::optional<Held>& held, bool wanted) {
    if (!held || !wanted) return std::nullopt;
    return std::move(held);
}

ipc::Result<std::optional<PidFile>> hold_pid_file(const std::string& path, Inheritance& from) {
    if (path.empty()) return std::nullopt;
    const bool same = from.pid_file && from.pid_file->path() == path;
    if (auto given = inherited(from.pid_file, same)) return given;
    auto locked = PidFile::lock(path);
    if (!locked) return tl::make_unexpected(std::move(locked.error()));
    return std::optional<PidFile>(std::move(*locked));
}

ipc::Result<std::optional<UnixSocket>> hold_control(const std::string& path, Inheritance& from) {
    if (path.empty()) return std::nullopt;
    if (auto given = inherited(from.control, from.control_path == path)) return given;
    auto bound = ControlServer::bind(path);
    if (!bound) return tl::make_unexpected(std::move(bound.error()));
    return std::optional<UnixSocket>(std::move(*bound));
}

ipc::Result<ipc::Scoreboard> hold_board(Inheritance& from) {
    if (from.board) return std::move(*from.board);
    return ipc::Scoreboard::make();
}

/// The lock first: nothing is touched while another instance serves.
ipc::Result<Holdings> take_hold(const Plan& plan, Inheritance from, bool is_heir) {
    auto pid_file = hold_pid_file(plan.reeve.pid_file, from);
    if (!pid_file) return tl::make_unexpected(std::move(pid_file.error()));
    auto signals = block_master_signals();
    if (!signals) return tl::make_unexpected(std::move(signals.error()));
    auto control = hold_control(plan.reeve.control, from);
    if (!control) return tl::make_unexpected(std::move(control.error()));
    const bool anew = is_heir && !from.board;
    auto board = hold_board(from);
    if (!board) return tl::make_unexpected(std::move(board.error()));
    const auto started = from.started_ms != 0 ? from.started_ms : ipc::monotonic_ms();
    return Holdings{.control = std::move(*control),
                    .pid_file = std::move(*pid_file),
                    .board = std::move(*board),
                    .signals = std::move(*signals),
                    .keeper_socket = std::move(from.keeper_socket),
                    .inherited = std::move(from.listeners),
                    .generation = from.generation,
                    .started_ms = started,
                    .is_heir = is_heir,
                    .predecessor = from.pid,
                    .counters_anew = anew};
}

}  // namespace

int run(Start start, ProcessTitle& title, StartReport& report) {
    const bool is_heir = start.inheritance.has_value();
    auto inherited = is_heir ? std::move(*start.inheritance) : Inheritance{};
    if (!is_heir) inherited.listeners = std::move(start.activated);
    auto holdings = take_hold(start.first.plan, std::move(inherited), is_heir);
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
    // Until the configured log is open, what goes wrong is said by `report` alone.
    spdlog::set_level(spdlog::level::off);
    Reign reign(*loop, std::move(start.program), std::move(start.read), std::move(*holdings),
                std::move(start.service), title, start.worker, start.sentinel, start.keeper, start.pool,
                start.preload, report);
    return reign.run(std::move(start.first));
}

}  // namespace master
