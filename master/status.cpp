// master/status.cpp: the scoreboard, the slots and /proc, in tables and in JSON.
#include "master/status.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace master {
namespace {

using OrderedJson = nlohmann::ordered_json;

/// "1d 2h", "3h 4m", "5m 6s", "7.8s".
std::string duration(std::uint64_t ms) {
    const std::uint64_t seconds = ms / 1000;
    if (seconds >= 86'400) return fmt::format("{}d {}h", seconds / 86'400, seconds % 86'400 / 3600);
    if (seconds >= 3600) return fmt::format("{}h {}m", seconds / 3600, seconds % 3600 / 60);
    if (seconds >= 60) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
    return fmt::format("{:.1f}s", static_cast<double>(ms) / 1000);
}

std::string mebibytes(std::uint64_t bytes) {
    return fmt::format("{:.1f}M", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

std::string slots_text(const ListenerStatus& listener) {
    if (listener.slots.empty()) return "-";
    return fmt::format("{}", fmt::join(listener.slots, ","));
}

OrderedJson totals_json(const ipc::Totals& totals) {
    OrderedJson json{{"accepted_total", totals.accepted},
                     {"requests_total", totals.requests},
                     {"bytes_in_total", totals.bytes_in},
                     {"bytes_out_total", totals.bytes_out},
                     {"refused_total", totals.refused},
                     {"accept_pauses_total", totals.accept_pauses},
                     {"log_lines_lost_total", totals.log_lines_lost},
                     {"slow_turns_total", totals.slow_turns},
                     {"queue_full_total", totals.queue_full},
                     {"queue_late_total", totals.queue_late}};
    auto& statuses = json["responses_total"] = OrderedJson::object();
    statuses["none"] = totals.statuses[0];
    for (std::size_t hundred = 1; hundred < totals.statuses.size(); ++hundred)
        statuses[fmt::format("{}xx", hundred)] = totals.statuses[hundred];
    return json;
}

OrderedJson usage_json(const ProcessUsage& usage) {
    return {{"cpu_seconds", usage.cpu_seconds}, {"rss_bytes", usage.rss_bytes}};
}

/// Null where it is not known.
OrderedJson memory_json(const std::optional<ProcessMemory>& memory) {
    const auto known = [&](std::uint64_t ProcessMemory::*field) {
        return memory ? OrderedJson(*memory.*field) : OrderedJson();
    };
    return {{"private_bytes", known(&ProcessMemory::private_bytes)},
            {"shared_bytes", known(&ProcessMemory::shared_bytes)},
            {"pss_bytes", known(&ProcessMemory::pss_bytes)}};
}

std::string memory_text(const std::optional<ProcessMemory>& memory, std::uint64_t ProcessMemory::*field) {
    return memory ? mebibytes(*memory.*field) : "-";
}

OrderedJson worker_json(const WorkerStatus& worker) {
    OrderedJson json{{"slot", worker.slot},
                     {"pid", worker.pid},
                     {"state", worker.state},
                     {"generation", worker.generation},
                     {"age_seconds", static_cast<double>(worker.age_ms) / 1000},
                     {"restarts", worker.restarts},
                     {"connections", worker.connections},
                     {"waiting", worker.waiting},
                     {"in_flight", worker.in_flight},
                     {"buffered_memory_bytes", worker.buffered_memory},
                     {"buffered_file_bytes", worker.buffered_file}};
    json.update(totals_json(worker.totals));
    json["heartbeat_age_seconds"] = worker.heartbeat_age_ms
                                        ? OrderedJson(static_cast<double>(*worker.heartbeat_age_ms) / 1000)
                                        : OrderedJson();
    json.update(usage_json(worker.usage));
    json.update(memory_json(worker.memory));
    if (worker.executors.empty()) return json;
    auto& executors = json["executors"] = OrderedJson::array();
    for (const auto& each : worker.executors)
        executors.push_back(
            {{"kind", each.kind},
             {"number", each.number},
             {"connections", each.connections},
             {"requests_total", each.requests},
             {"waiting", each.waiting},
             {"busy", each.busy},
             {"heartbeat_age_seconds", each.heartbeat_age_ms
                                           ? OrderedJson(static_cast<double>(*each.heartbeat_age_ms) / 1000)
                                           : OrderedJson()},
             {"in_flight", each.in_flight}});
    return json;
}

std::uint64_t failures_of(const ipc::PeerReport& peer) {
    return std::accumulate(peer.failures.begin(), peer.failures.end(), std::uint64_t{0});
}

/// "closed", "open 3.2s" until it is tried again, "open (forced)".
std::string breaker_text(const ipc::BreakerStatus& breaker) {
    std::string text(ipc::name(breaker.state));
    if (breaker.force != ipc::BreakerForce::automatic) return text + " (forced)";
    if (breaker.retry_after_ms > 0) text += " " + duration(breaker.retry_after_ms);
    return text;
}

/// "up", "down status 503", "ejected 3.2s"; of a place of a name also "gone", and which one it is.
std::string state_text(const ipc::PeerReport& peer) {
    std::string text = "up";
    if (!peer.place.empty() && peer.address.empty()) {
        text = "gone";
    } else if (peer.health == ipc::Health::down) {
        text = "down " + peer.health_reason;
    } else if (peer.ejected_ms > 0) {
        text = "ejected " + duration(peer.ejected_ms);
    }
    return peer.place.empty() ? text : text + "  " + peer.place;
}

std::string name_text(const ipc::NameReport& name) {
    return fmt::format("{:<20} {:<28} {:>9} {:>8} {:>10} {:>10}  {}\n", name.upstream, name.name,
                       name.addresses, name.answers, name.failures,
                       name.answered_ago_ms ? duration(*name.answered_ago_ms) : std::string("-"),
                       name.reason);
}

std::string in_milliseconds(std::uint64_t us) {
    return us == 0 ? "-" : fmt::format("{:.1f}", static_cast<double>(us) / 1000);
}

/// Of those that have a limit of concurrency.
std::string limits_text(const std::vector<ipc::UpstreamReport>& upstreams) {
    std::string out;
    for (const auto& upstream : upstreams) {
        if (!upstream.limited) continue;
        if (out.empty())
            out = fmt::format("\n{:<20} {:>8} {:>8} {:>11} {:>10} {:>10}\n", "upstream", "limit", "waiting",
                              "baseline ms", "now ms", "refused");
        out += fmt::format("{:<20} {:>8} {:>8} {:>11} {:>10} {:>10}\n", upstream.name, upstream.limit,
                           upstream.waiting, in_milliseconds(upstream.baseline_us),
                           in_milliseconds(upstream.latency_us), upstream.shed);
    }
    return out;
}

std::string upstreams_text(const Status& status) {
    if (status.upstreams.empty()) return {};
    std::string out = fmt::format("\n{:<20} {:<16} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "upstream",
                                  "breaker", "refused", "probes", "hedges", "won", "no budget");
    for (const auto& upstream : status.upstreams)
        out += fmt::format("{:<20} {:<16} {:>10} {:>10} {:>10} {:>10} {:>10}\n", upstream.name,
                           breaker_text(upstream.breaker), upstream.refused, upstream.probes, upstream.hedges,
                           upstream.hedges_won, upstream.hedges_refused);
    out += limits_text(status.upstreams);
    out += fmt::format("\n{:<20} {:<28} {:>7} {:>12} {:>10} {:>10} {:>8}  {}\n", "upstream", "peer", "active",
                       "calls", "failed", "5xx", "conns", "state");
    for (const auto& peer : status.peers)
        out += fmt::format("{:<20} {:<28} {:>7} {:>12} {:>10} {:>10} {:>8}  {}\n", peer.upstream,
                           peer.address.empty() ? "-" : peer.address, peer.active, peer.calls,
                           failures_of(peer), peer.statuses[5], peer.connections, state_text(peer));
    if (!status.names.empty())
        out += fmt::format("\n{:<20} {:<28} {:>9} {:>8} {:>10} {:>10}  {}\n", "upstream", "name", "addresses",
                           "answers", "failures", "last", "why not");
    for (const auto& name : status.names) out += name_text(name);
    return out;
}

/// "4 idle, 2 busy".
std::string states_text(const ipc::PoolReport& pool) {
    if (pool.of_threads)
        return fmt::format("{} threads, {} busy, {} stuck", pool.threads.threads, pool.threads.busy,
                           pool.threads.stuck);
    std::vector<std::string> parts;
    for (std::size_t state = 1; state < ipc::member_states; ++state)  // `off` is nobody
        if (pool.states[state] > 0)
            parts.push_back(
                fmt::format("{} {}", pool.states[state], ipc::name(static_cast<ipc::MemberState>(state))));
    return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

OrderedJson jobs_json(const std::optional<JobsStatus>& jobs) {
    if (!jobs) return {};
    return {{"able", jobs->unable_ms == 0},
            {"unable_seconds", static_cast<double>(jobs->unable_ms) / 1000},
            {"why", jobs->unable_ms == 0 ? std::string() : jobs->why},
            {"keeper_pid", jobs->keeper_pid},
            {"commits", jobs->commits},
            {"failures", jobs->failures},
            {"overflows", jobs->overflows},
            {"wal_bytes", jobs->wal_bytes}};
}

std::string jobs_text(const JobsStatus& jobs) {
    const std::string able = jobs.unable_ms == 0 ? "jobs can be stored"
                                                 : fmt::format("jobs cannot be stored, for {} now: {}",
                                                               duration(jobs.unable_ms), jobs.why);
    return fmt::format("{}\nstore of jobs  keeper {}  commits {}  failed {}  refused {}  log {}\n", able,
                       jobs.keeper_pid == 0 ? "-" : std::to_string(jobs.keeper_pid), jobs.commits,
                       jobs.failures, jobs.overflows, mebibytes(jobs.wal_bytes));
}

std::string pools_text(const Status& status) {
    if (status.pools.empty()) return {};
    std::string out =
        fmt::format("\n{:<20} {:>3} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}  {}\n", "pool", "gen",
                    "tasks", "waiting", "full", "late", "timeouts", "died", "crashes", "replaced", "who");
    for (const auto& [generation, pool, usage, memory] : status.pools)
        out += fmt::format("{:<20} {:>3} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}  {}\n", pool.name,
                           generation, pool.tasks, pool.waiting, pool.refused_full, pool.refused_late,
                           pool.timeouts, pool.died, pool.crashes, pool.recycled, states_text(pool));
    return out;
}

OrderedJson threads_json(const ipc::PoolReport& pool, std::uint32_t generation) {
    return {{"name", pool.name},
            {"kind", "thread"},
            {"generation", generation},
            {"size_max", pool.size_max},
            {"queue", pool.queue},
            {"threads", pool.threads.threads},
            {"busy", pool.threads.busy},
            {"stuck", pool.threads.stuck},
            {"waiting", pool.threads.waiting},
            {"tasks_total", pool.tasks},
            {"busy_seconds_total", static_cast<double>(pool.busy_us) / 1e6},
            {"waited_seconds_total", static_cast<double>(pool.waited_us) / 1e6},
            {"refused_full_total", pool.refused_full},
            {"refused_late_total", pool.refused_late},
            {"left_total", pool.left},
            {"timeouts_total", pool.timeouts},
            {"threw_total", pool.threw},
            {"started_total", pool.started}};
}

OrderedJson pools_json(const Status& status) {
    OrderedJson all = OrderedJson::array();
    for (const auto& [generation, pool, usage, memory] : status.pools) {
        if (pool.of_threads) {
            all.push_back(threads_json(pool, generation));
            continue;
        }
        OrderedJson members = OrderedJson::array();
        for (std::size_t index = 0; index < pool.members.size(); ++index) {
            const auto& member = pool.members[index];
            if (member.pid == 0 && member.state == ipc::MemberState::off) continue;
            members.push_back({{"member", index},
                               {"pid", member.pid},
                               {"state", ipc::name(member.state)},
                               {"state_seconds", static_cast<double>(member.state_ms) / 1000},
                               {"tasks", member.tasks}});
            members.back().update(usage_json(usage[index]));
            members.back().update(memory_json(index < memory.size() ? memory[index] : std::nullopt));
        }
        all.push_back({{"name", pool.name},
                       {"kind", "process"},
                       {"generation", generation},
                       {"size_max", pool.size_max},
                       {"queue", pool.queue},
                       {"waiting", pool.waiting},
                       {"tasks_total", pool.tasks},
                       {"busy_seconds_total", static_cast<double>(pool.busy_us) / 1e6},
                       {"waited_seconds_total", static_cast<double>(pool.waited_us) / 1e6},
                       {"refused_full_total", pool.refused_full},
                       {"refused_late_total", pool.refused_late},
                       {"left_total", pool.left},
                       {"timeouts_total", pool.timeouts},
                       {"aborted_total", pool.aborted},
                       {"died_total", pool.died},
                       {"started_total", pool.started},
                       {"crashes_total", pool.crashes},
                       {"kills_total", pool.kills},
                       {"recycled_total", pool.recycled},
                       {"members", std::move(members)}});
    }
    return all;
}

OrderedJson name_json(const ipc::NameReport& name) {
    return {{"name", name.name},
            {"addresses", name.addresses},
            {"answers_total", name.answers},
            {"failures_total", name.failures},
            {"answered_seconds_ago", name.answered_ago_ms
                                         ? OrderedJson(static_cast<double>(*name.answered_ago_ms) / 1000)
                                         : OrderedJson()},
            {"ttl_seconds", static_cast<double>(name.ttl_ms) / 1000},
            {"next_seconds", static_cast<double>(name.next_ms) / 1000},
            {"reason", name.reason}};
}

/// Null: the upstream has no such limit.
OrderedJson concurrency_json(const ipc::UpstreamReport& upstream) {
    if (!upstream.limited) return {};
    return {{"limit", upstream.limit},
            {"waiting", upstream.waiting},
            {"baseline_seconds", static_cast<double>(upstream.baseline_us) / 1'000'000},
            {"latency_seconds", static_cast<double>(upstream.latency_us) / 1'000'000},
            {"refused_total", upstream.shed}};
}

OrderedJson upstreams_json(const Status& status) {
    OrderedJson all = OrderedJson::array();
    for (const auto& upstream : status.upstreams) {
        OrderedJson peers = OrderedJson::array();
        for (const auto& peer : status.peers) {
            if (peer.upstream != upstream.name) continue;
            OrderedJson failures = OrderedJson::object();
            for (std::size_t i = 0; i < ipc::call_failures; ++i)
                failures[std::string(ipc::name(static_cast<ipc::CallFailure>(i)))] = peer.failures[i];
            peers.push_back(
                {{"address", peer.address},
                 {"place", peer.place},
                 {"active", peer.active},
                 {"calls_total", peer.calls},
                 {"connections_total", peer.connections},
                 {"failures_total", std::move(failures)},
                 {"ejections_total", peer.ejections},
                 {"ejected_seconds", static_cast<double>(peer.ejected_ms) / 1000},
                 {"health", ipc::name(peer.health)},
                 {"health_reason", peer.health_reason},
                 {"checks_passed_total", peer.checks_passed},
                 {"checks_failed_total", peer.checks_failed},
                 {"check_seconds", static_cast<double>(peer.check_us) / 1'000'000},
                 {"last_check_seconds", peer.checked_ago_ms
                                            ? OrderedJson(static_cast<double>(*peer.checked_ago_ms) / 1000)
                                            : OrderedJson()}});
        }
        OrderedJson names = OrderedJson::array();
        for (const auto& name : status.names)
            if (name.upstream == upstream.name) names.push_back(name_json(name));
        all.push_back({{"name", upstream.name},
                       {"names", std::move(names)},
                       {"breaker",
                        {{"state", ipc::name(upstream.breaker.state)},
                         {"forced", upstream.breaker.force != ipc::BreakerForce::automatic},
                         {"retry_after_seconds", static_cast<double>(upstream.breaker.retry_after_ms) / 1000},
                         {"failures_total", upstream.failures},
                         {"slow_total", upstream.slow},
                         {"refused_total", upstream.refused},
                         {"probes_total", upstream.probes}}},
                       {"hedges",
                        {{"active", upstream.hedging},
                         {"sent_total", upstream.hedges},
                         {"won_total", upstream.hedges_won},
                         {"refused_total", upstream.hedges_refused}}},
                       {"concurrency", concurrency_json(upstream)},
                       {"peers", std::move(peers)}});
    }
    return all;
}

}  // namespace

namespace {

ExecutorStatus executor_status(const ipc::WorkerCell& cell, const Slot& slot, std::uint64_t now) {
    ExecutorStatus executor;
    executor.kind = ipc::name(cell.tenant.kind());
    executor.number = static_cast<std::uint32_t>(cell.tenant.number.get());
    executor.connections = cell.loop.connections.get();
    executor.requests = cell.since_taken().requests;
    executor.waiting = cell.loop.waiting.get();
    executor.busy = cell.loop.busy.get();
    if (!slot.running()) return executor;
    executor.in_flight = cell.loop.in_flight.text();
    if (const auto beat = cell.loop.heartbeat_ms.get(); beat >= slot.started_ms)
        executor.heartbeat_age_ms = now > beat ? now - beat : 0;
    return executor;
}

}  // namespace

std::vector<WorkerStatus> worker_statuses(const Supervisor& supervisor, const ipc::Scoreboard& board,
                                          std::uint64_t now) {
    std::vector<WorkerStatus> all;
    for (const Slot* slot : supervisor.slots()) {
        if (slot->surplus && !slot->running()) continue;  // nobody needs it
        WorkerStatus worker;
        worker.slot = slot->index();
        worker.state = ipc::name(slot->state);
        worker.generation = supervisor.generation();
        worker.restarts = slot->restarts;
        for (const auto row : slot->rows) {
            const auto& cell = board.row(row);
            worker.totals += cell.since_taken();
            auto executor = executor_status(cell, *slot, now);
            worker.connections += executor.connections;
            worker.waiting += executor.waiting;
            worker.buffered_memory += cell.buffers.memory.get();
            worker.buffered_file += cell.buffers.file.get();
            if (worker.in_flight.empty()) worker.in_flight = executor.in_flight;
            if (cell.tenant.kind() != ipc::Executor::thread && executor.heartbeat_age_ms)
                worker.heartbeat_age_ms =
                    std::max(worker.heartbeat_age_ms.value_or(0), *executor.heartbeat_age_ms);
            if (slot->rows.size() > 1) worker.executors.push_back(std::move(executor));
        }
        if (slot->running()) {
            worker.pid = slot->pid();
            worker.age_ms = now - slot->started_ms;
            worker.usage = process_usage(slot->pid()).value_or(ProcessUsage{});
        }
        all.push_back(std::move(worker));
    }
    return all;
}

std::vector<ListenerStatus> listener_statuses(const Listeners& listeners, std::uint32_t queues) {
    std::vector<ListenerStatus> all;
    for (const auto& entry : listeners.all()) {
        ListenerStatus status;
        status.address = entry.listener->address().text();
        status.accept = entry.has_queues() ? "reuseport" : "shared";
        status.backlog = entry.plan.backlog;
        status.pending = entry.listener->pending();
        for (std::uint32_t queue = 0; entry.has_queues() && queue < entry.sockets.size(); queue += queues)
            if (entry.sockets[queue]->listening()) status.slots.push_back(queue / queues);
        all.push_back(std::move(status));
    }
    return all;
}

std::vector<PoolStatus> pool_statuses(const ipc::PoolTable& table, std::uint32_t generation,
                                      std::uint64_t now) {
    std::vector<PoolStatus> all;
    for (std::uint32_t pool = 0; pool < table.pools(); ++pool) {
        PoolStatus status{
            .generation = generation, .report = table.report(pool, now), .usage = {}, .memory = {}};
        for (const auto& member : status.report.members)
            status.usage.push_back(member.pid != 0 ? process_usage(member.pid).value_or(ProcessUsage{})
                                                   : ProcessUsage{});
        all.push_back(std::move(status));
    }
    return all;
}

namespace {

std::string companion_text(std::string_view what, const CompanionStatus& companion) {
    return fmt::format("{} of generation {}  pid {}  restarts {}  private {}  shared {}\n", what,
                       companion.generation, companion.pid == 0 ? "-" : std::to_string(companion.pid),
                       companion.restarts, memory_text(companion.memory, &ProcessMemory::private_bytes),
                       memory_text(companion.memory, &ProcessMemory::shared_bytes));
}

OrderedJson companions_json(const std::vector<CompanionStatus>& companions) {
    OrderedJson all = OrderedJson::array();
    for (const auto& each : companions) {
        all.push_back({{"pid", each.pid}, {"generation", each.generation}, {"restarts", each.restarts}});
        all.back().update(memory_json(each.memory));
    }
    return all;
}

}  // namespace

JobsStatus jobs_status(const ipc::JobsCell& jobs, std::uint64_t now_unix_ms) {
    JobsStatus status{.unable_ms = 0,
                      .why = {},
                      .keeper_pid = jobs.pid.get(),
                      .commits = jobs.commits.get(),
                      .failures = jobs.failures.get(),
                      .overflows = jobs.overflows.get(),
                      .wal_bytes = jobs.wal_bytes.get()};
    const auto since = jobs.unable_since_ms.get();
    if (since == 0) return status;
    status.unable_ms = now_unix_ms > since ? now_unix_ms - since : 1;
    status.why = jobs.unable_why.get();
    return status;
}

std::string status_text(const Status& status) {
    const auto& master = status.master;
    std::string out = fmt::format("reeve {}  pid {}  {}  generation {}  up {}  rss {}\n", REEVE_VERSION,
                                  master.pid, master.state, master.generation, duration(master.age_ms),
                                  mebibytes(master.usage.rss_bytes));
    out += fmt::format("configuration {}\n\n", master.config.empty() ? "-" : master.config);
    out += fmt::format(
        "{:>6} {:>8} {:<11} {:>3} {:>9} {:>8} {:>8} {:>10} {:>12} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9} "
        "{:>8}  {}\n",
        "worker", "pid", "state", "gen", "age", "restarts", "conns", "accepted", "requests", "4xx", "5xx",
        "cpu s", "rss", "private", "shared", "beat ms", "in flight");
    for (const auto& worker : status.workers)
        out += fmt::format(
            "{:>6} {:>8} {:<11} {:>3} {:>9} {:>8} {:>8} {:>10} {:>12} {:>8} {:>8} {:>8.2f} {:>9} {:>9} {:>9} "
            "{:>8}  {}\n",
            worker.slot, worker.pid == 0 ? "-" : std::to_string(worker.pid), worker.state, worker.generation,
            duration(worker.age_ms), worker.restarts, worker.connections, worker.totals.accepted,
            worker.totals.requests, worker.totals.statuses[4], worker.totals.statuses[5],
            worker.usage.cpu_seconds, mebibytes(worker.usage.rss_bytes),
            memory_text(worker.memory, &ProcessMemory::private_bytes),
            memory_text(worker.memory, &ProcessMemory::shared_bytes),
            worker.heartbeat_age_ms ? std::to_string(*worker.heartbeat_age_ms) : "-",
            worker.in_flight.empty() ? "-" : worker.in_flight);
    for (const auto& preloader : status.preloaders) out += companion_text("preloader", preloader);
    for (const auto& sentinel : status.sentinels) out += companion_text("sentinel", sentinel);
    for (const auto& keeper : status.keepers) out += companion_text("keeper", keeper);
    if (status.jobs) out += jobs_text(*status.jobs);
    out +=
        fmt::format("\n{:<40} {:<10} {:>8} {:>8}  {}\n", "listener", "accept", "backlog", "waiting", "slots");
    for (const auto& listener : status.listeners)
        out += fmt::format("{:<40} {:<10} {:>8} {:>8}  {}\n", listener.address, listener.accept,
                           listener.backlog, listener.pending ? std::to_string(*listener.pending) : "-",
                           slots_text(listener));
    return out + pools_text(status) + upstreams_text(status);
}

std::string status_json(const Status& status) {
    OrderedJson master{{"pid", status.master.pid},
                       {"version", REEVE_VERSION},
                       {"state", status.master.state},
                       {"generation", status.master.generation},
                       {"age_seconds", static_cast<double>(status.master.age_ms) / 1000},
                       {"reloads_total", status.master.reloads},
                       {"reload_failures_total", status.master.reload_failures},
                       {"upgrades_total", status.master.upgrades},
                       {"config", status.master.config}};
    master.update(totals_json(status.master.totals));
    // Bucket i counts requests of less than 2^(i+7) us, the last one all that took longer.
    master["latency_buckets"] = status.master.latency;
    master.update(usage_json(status.master.usage));
    master.update(memory_json(status.master.memory));
    OrderedJson workers = OrderedJson::array();
    for (const auto& worker : status.workers) workers.push_back(worker_json(worker));
    OrderedJson listeners = OrderedJson::array();
    for (const auto& listener : status.listeners)
        listeners.push_back({{"address", listener.address},
                             {"accept", listener.accept},
                             {"backlog", listener.backlog},
                             {"pending", listener.pending ? OrderedJson(*listener.pending) : OrderedJson()},
                             {"slots", listener.slots}});
    const OrderedJson all{{"master", master},
                          {"workers", workers},
                          {"sentinels", companions_json(status.sentinels)},
                          {"preloaders", companions_json(status.preloaders)},
                          {"keepers", companions_json(status.keepers)},
                          {"jobs", jobs_json(status.jobs)},
                          {"listeners", listeners},
                          {"pools", pools_json(status)},
                          {"upstreams", upstreams_json(status)}};
    return all.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace master
