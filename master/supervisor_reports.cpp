// master/supervisor_reports.cpp: what the log says of workers: who died or hangs, of which request, and in
// whose code.
#include <signal.h>
#include <spdlog/spdlog.h>

#include <string>

#include "ipc/clock.h"
#include "master/autopsy.h"
#include "master/supervisor.h"

namespace master {
namespace {

using ipc::RestartCause;

constexpr std::size_t requests_bytes_max = 400;  ///< of requests in flight that the log tells of

}  // namespace

/// " loop=2", where there are several.
std::string Supervisor::name_of(std::uint32_t executor) const {
    const auto& crew = around_.plan.crew;
    if (crew.executors() == 1) return {};
    if (executor >= crew.number_of_threads(0))
        return " thread=" + std::to_string(executor - crew.number_of_threads(0));
    if (crew.has_main && executor == 0) return " loop=main";
    return " loop=" + std::to_string(executor - crew.number_of_loop(0));
}

void Supervisor::report_death(Slot& slot, const Ending& ending) {
    const auto now = ipc::monotonic_ms();
    const auto& note = cell_of(slot).crash;
    const auto pool = note.pool();  // of threads, if it was one of its
    const auto known = note.signal().number != 0 ? note.signal().executor : slot.rows.size() == 1 ? 0 : -1;
    const bool is_known = known >= 0 && static_cast<std::size_t>(known) < slot.rows.size();
    const auto executor = is_known ? static_cast<std::uint32_t>(known) : 0;
    auto request = is_known ? cell_of(slot, executor).loop.in_flight.text() : note.about();
    bool is_sure = !request.empty();
    if (!is_sure) request = in_flight(slot, is_sure);
    const auto running = note.signal().number == 0 ? only_module(slot)
                         : !pool.empty()           ? note.module_of_task()
                         : is_known                ? cell_of(slot, executor).loop.in_flight.module()
                                                   : std::string();
    const bool asked = mode_ == Mode::leaving || slot.role == Slot::Role::leaving || slot.surplus;
    spdlog::log(asked && ending.signal == 0 ? spdlog::level::info : spdlog::level::err,
                "worker {} slot={} generation={} pid={}{} ending={:?} age_ms={} request={:?}{}",
                asked ? "left" : "died", slot.index(), around_.generation, slot.pid(),
                is_known       ? name_of(executor)
                : pool.empty() ? pool
                               : " pool=" + pool,
                ending.text(), now - slot.started_ms, request, autopsy(note, running));
    const bool crashed = ending.signal != 0 && ending.signal != SIGKILL && ending.signal != SIGTERM;
    if (is_sure && (crashed || slot.cause == RestartCause::stuck)) suspect(request, now);
    if (asked) return;
    const auto cause = slot.cause.value_or(ending.signal != 0 ? RestartCause::signal : RestartCause::exit);
    around_.board.masters().restarts[static_cast<std::size_t>(cause)].add_shared();
}

/// " request=\"GET /\" module=greetings handler=hello", of an executor that does not move.
std::string Supervisor::doing(const Slot& slot, std::uint32_t executor) const {
    const auto& in_flight = cell_of(slot, executor).loop.in_flight;
    return fmt::format(" request={:?}{}", in_flight.text(), module_words(in_flight.module()));
}

/// What code of a module ran in a worker that left no note; empty where that could have been several.
std::string Supervisor::only_module(const Slot& slot) const {
    std::string only;
    for (const auto row : slot.rows) {
        auto module = around_.board.row(row).loop.in_flight.module();
        if (module.empty()) continue;
        if (!only.empty()) return {};
        only = std::move(module);
    }
    return only;
}

/// All that its loops and threads were doing. `alone`: it was one request.
std::string Supervisor::in_flight(const Slot& slot, bool& alone) const {
    std::string all;
    std::size_t count = 0;
    for (const auto row : slot.rows) {
        const auto text = around_.board.row(row).loop.in_flight.text();
        if (text.empty() || all.size() > requests_bytes_max) continue;
        ++count;
        if (!all.empty()) all += "; ";
        all += text;
    }
    alone = count == 1;
    return all;
}

void Supervisor::suspect(const std::string& request, std::uint64_t now) {
    const auto crashes = around_.poison.crashed(request, now);
    if (crashes < 2) return;
    around_.board.masters().poison_requests.add_shared();
    spdlog::critical("poison request: workers die of it again and again request={:?} crashes={}", request,
                     crashes);
}

}  // namespace master
