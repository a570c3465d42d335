// master/plan.cpp: nlohmann's conversions for the settings that the master uses.
#include "master/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "conf/plan.h"
#include "master/limits.h"

namespace nlohmann {

template <>
struct adl_serializer<std::chrono::milliseconds> {
    static void to_json(json& out, std::chrono::milliseconds time) { out = time.count(); }
    static void from_json(const json& in, std::chrono::milliseconds& time) {
        time = std::chrono::milliseconds(in.get<std::int64_t>());
    }
};

template <class Value>
struct adl_serializer<std::optional<Value>> {
    static void to_json(json& out, const std::optional<Value>& value) {
        if (value) out = *value;
    }
    static void from_json(const json& in, std::optional<Value>& value) {
        if (!in.is_null()) value = in.get<Value>();
    }
};

}  // namespace nlohmann

namespace conf {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ErrorLog, path, level)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Address, family, host, port)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PoolRun, kind, command)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ResourceLimit, what, value)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Variable, name, value)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Pool, name, kind, run, size, size_min, size_max, idle_timeout, queue,
                                   queue_timeout, timeout, kill_grace, max_tasks, max_memory, environment,
                                   directory, user, rlimits)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Listen, address, backlog, fallback)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Reeve, user, pid_file, control, error_log, error_log_format, daemon,
                                   start_timeout, shutdown_timeout, drain_delay, watchdog, slow_loop,
                                   generations_max, upgrade, open_files, core_max, sandbox)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Crew, loops, threads, has_main)

}  // namespace conf

namespace master {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PlannedName, upstream, name, places)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Plan, path, reeve, accept, workers, crew, processes_max, spares_min,
                                   spares_max, max_requests, max_memory, preload, listens, access_logs,
                                   routes, peers, names, pools, job_queues, job_schedules, job_store, checked,
                                   limited)

Plan make_plan(const conf::Config& config) {
    const auto& execution = config.execution;
    Plan plan;
    plan.path = config.path;
    plan.reeve = config.reeve;
    plan.accept = execution.accept;
    plan.workers = execution.workers == conf::automatic ? usable_cpus() : execution.workers;
    plan.crew = conf::crew_of(execution, usable_cpus());
    plan.processes_max = execution.processes_max;
    if (plan.processes_max > 0) plan.workers = std::min(plan.workers, plan.processes_max);
    plan.spares_min = execution.spares_min;
    plan.spares_max = execution.spares_max;
    plan.max_requests = execution.max_requests;
    plan.max_memory = execution.max_memory;
    plan.preload = execution.preload;
    plan.listens = conf::listen_plan(config);
    plan.access_logs = conf::access_log_paths(config);
    for (const auto& route : config.routes) plan.routes.push_back(route.name);
    plan.pools = config.pools;
    for (const auto& queue : config.queues) plan.job_queues.push_back(queue.name);
    for (const auto& schedule : config.schedules) plan.job_schedules.push_back(schedule.name);
    plan.job_store = config.store.url;
    for (const auto& upstream : config.upstreams) {
        for (const auto& peer : upstream.peers) {
            if (peer.is_name())
                plan.names.push_back({upstream.name, peer.text(), peer.peers_max});
            else
                plan.peers.emplace_back(upstream.name, peer.address.text());
        }
        if (upstream.health.how != conf::HealthCheck::How::off) plan.checked.push_back(upstream.name);
        if (upstream.concurrency.adaptive) plan.limited.push_back(upstream.name);
    }
    return plan;
}

std::string encode_plan(const Plan& plan) {
    return nlohmann::json(plan).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ipc::Result<Plan> decode_plan(std::string_view text) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (json.is_discarded()) return ipc::failure("decode plan: not JSON");
    try {
        auto plan = json.get<Plan>();
        if (plan.workers == 0 || plan.crew.loops == 0) return ipc::failure("decode plan: no workers");
        return plan;
    } catch (const nlohmann::json::exception& wrong) {
        return ipc::failure(std::string("decode plan: ") + wrong.what());
    }
}

}  // namespace master
