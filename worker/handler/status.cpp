#include "worker/handler/status.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "ipc/upstream_report.h"
#include "worker/handler/job_request.h"
#include "worker/handler/own_text.h"
#include "worker/http/accept.h"
#include "worker/jobs/unix_clock.h"

namespace worker::handler {
namespace {

// The page asks the same address for JSON, every second while it is looked at.
constexpr std::string_view page = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><title>reeve status</title>
<meta name="viewport" content="width=device-width">
<style>
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.35rem .6rem;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}
small{opacity:.65}
</style>
<h1>reeve <small id="version"></small></h1>
<p id="summary">Loading; without scripts, ask for <code>application/json</code>.</p>
<table><thead><tr><th>worker<th>generation<th>state<th>connections<th>requests<th>per second<th>2xx<th>3xx<th>4xx<th>5xx<th>MB out</tr></thead>
<tbody id="workers"></tbody></table>
<table hidden><thead><tr><th>peer<th>upstream<th>state<th>breaker<th>active<th>calls<th>failures</tr></thead>
<tbody id="peers"></tbody></table>
<table hidden><thead><tr><th>pool<th>processes or threads<th>tasks<th>waiting<th>full<th>late<th>timeouts<th>died<th>crashes</tr></thead>
<tbody id="pools"></tbody></table>
<p id="jobs" hidden></p>
<table hidden><thead><tr><th>name<th>upstream<th>addresses<th>answers<th>failures<th>why not</tr></thead>
<tbody id="names"></tbody></table>
<script>
let before = {};
function cells(values) {
  const row = document.createElement('tr');
  for (const v of values) row.appendChild(document.createElement('td')).textContent = v;
  return row;
}
function state(p) {
  if (p.place !== '' && p.address === '') return 'gone';
  if (p.health === 'down') return `down ${p.health_reason}`;
  return p.ejected_ms > 0 ? `ejected ${(p.ejected_ms / 1000).toFixed(1)} s` : 'up';
}
async function show() {
  const s = await (await fetch(location.pathname, {headers: {Accept: 'application/json'}})).json();
  document.getElementById('version').textContent = s.version;
  document.getElementById('summary').textContent =
    `master ${s.master_pid}, generation ${s.generation}, up ${s.uptime_seconds} s; answered by worker ${s.worker}`;
  const now = performance.now();
  document.getElementById('workers').replaceChildren(...s.workers.map(w => {
    const key = `${w.generation}/${w.slot}/${w.pid}`;
    const old = before[key] || {at: now, requests: w.requests};
    const rate = now > old.at ? Math.round((w.requests - old.requests) * 1000 / (now - old.at)) : 0;
    before[key] = {at: now, requests: w.requests};
    return cells([w.slot, w.generation, w.state, w.connections, w.requests, rate, w.statuses['2xx'], w.statuses['3xx'],
                  w.statuses['4xx'], w.statuses['5xx'], (w.bytes_out / 1e6).toFixed(1)]);
  }));
  const peers = document.getElementById('peers');
  peers.parentNode.hidden = s.upstreams.length === 0;
  peers.replaceChildren(...s.upstreams.flatMap(u => u.peers.map(p =>
    cells([p.address || p.place, u.name, state(p), u.breaker, p.active, p.calls, p.failures]))));
  const names = document.getElementById('names');
  names.replaceChildren(...s.upstreams.flatMap(u => u.names.map(n =>
    cells([n.name, u.name, n.addresses, n.answers, n.failures, n.reason]))));
  names.parentNode.hidden = names.children.length === 0;
  const pools = document.getElementById('pools');
  pools.parentNode.hidden = s.pools.length === 0;
  pools.replaceChildren(...s.pools.map(p =>
    cells([p.name, Object.entries(p.members).map(([state, n]) => `${n} ${state}`).join(', '), p.tasks, p.waiting,
           p.refused_full, p.refused_late, p.timeouts, p.died, p.crashes])));
  const jobs = document.getElementById('jobs');
  jobs.hidden = s.jobs === null;
  if (s.jobs !== null)
    jobs.textContent = (s.jobs.able ? 'jobs can be stored' :
      `jobs cannot be stored, for ${Math.round(s.jobs.unable_seconds)} s now: ${s.jobs.why}`) +
      `; keeper ${s.jobs.keeper_pid || 'none'}, ${s.jobs.commits} commits, ${s.jobs.failures} failed, ` +
      `log ${(s.jobs.wal_bytes / 1e6).toFixed(1)} MB`;
}
show();
setInterval(() => document.hidden || show(), 1000);
</script></html>
)";

/// All loops and threads of one process.
using Rows = std::vector<const ipc::WorkerCell*>;

nlohmann::json worker_json(const Rows& rows, std::uint64_t now_ms) {
    ipc::Totals grown;
    std::uint64_t connections = 0, waiting = 0, buffered_memory = 0, buffered_file = 0, silent_ms = 0;
    for (const auto* row : rows) {
        grown += row->since_taken();
        connections += row->loop.connections.get();
        waiting += row->loop.waiting.get();
        buffered_memory += row->buffers.memory.get();
        buffered_file += row->buffers.file.get();
        const std::uint64_t beat = row->loop.heartbeat_ms.get();
        if (row->tenant.kind() != ipc::Executor::thread)
            silent_ms = std::max(silent_ms, now_ms > beat ? now_ms - beat : 0);
    }
    nlohmann::json statuses;
    constexpr std::array<const char*, 6> kinds{"unanswered", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (std::size_t i = 0; i < kinds.size(); ++i) statuses[kinds[i]] = grown.statuses[i];
    const ipc::Tenant& tenant = rows.front()->tenant;
    return {
        {"slot", tenant.slot.get()},
        {"pid", tenant.pid.get()},
        {"generation", tenant.generation.get()},
        {"state", ipc::name(tenant.slot_state())},
        {"age_seconds", (now_ms - std::min(now_ms, tenant.started_ms.get())) / 1000},
        {"connections", connections},
        {"waiting", waiting},
        {"accepted", grown.accepted},
        {"requests", grown.requests},
        {"statuses", statuses},
        {"bytes_in", grown.bytes_in},
        {"bytes_out", grown.bytes_out},
        {"refused", grown.refused},
        {"queue_full", grown.queue_full},
        {"queue_late", grown.queue_late},
        {"accept_pauses", grown.accept_pauses},
        {"log_lines_lost", grown.log_lines_lost},
        {"buffered_memory", buffered_memory},
        {"buffered_file", buffered_file},
        {"heartbeat_age_ms", silent_ms},
    };
}

nlohmann::json pool_json(const ipc::PoolReport& pool) {
    nlohmann::json members = nlohmann::json::object();
    for (std::size_t state = 1; state < ipc::member_states; ++state)
        if (pool.states[state] > 0)
            members[std::string(ipc::name(static_cast<ipc::MemberState>(state)))] = pool.states[state];
    const auto& threads = pool.threads;
    if (const auto idle = threads.threads - threads.busy; idle > 0) members["idle"] = idle;
    if (const auto busy = threads.busy - threads.stuck; busy > 0) members["busy"] = busy;
    if (threads.stuck > 0) members["stuck"] = threads.stuck;
    return {{"name", pool.name},
            {"kind", pool.of_threads ? "thread" : "process"},
            {"members", std::move(members)},
            {"tasks", pool.tasks},
            {"waiting", pool.waiting},
            {"queue", pool.queue},
            {"refused_full", pool.refused_full},
            {"refused_late", pool.refused_late},
            {"left", pool.left},
            {"timeouts", pool.timeouts},
            {"aborted", pool.aborted},
            {"died", pool.died},
            {"crashes", pool.crashes},
            {"kills", pool.kills},
            {"recycled", pool.recycled}};
}

/// How the store of jobs is.
nlohmann::json store_json(const ipc::JobsCell& cell) {
    const auto since = static_cast<jobs::UnixMs>(cell.unable_since_ms.get());
    const auto unable_ms = since == 0 ? 0 : std::max<jobs::UnixMs>(jobs::unix_ms() - since, 1);
    return {{"able", since == 0},
            {"unable_seconds", static_cast<double>(unable_ms) / 1000},
            {"why", since == 0 ? std::string() : std::string(public_reason(cell.unable_why.get()))},
            {"keeper_pid", cell.pid.get()},
            {"commits", cell.commits.get()},
            {"failures", cell.failures.get()},
            {"overflows", cell.overflows.get()},
            {"wal_bytes", cell.wal_bytes.get()}};
}

/// Those that have a process, the newest generation first, by slot.
std::vector<Rows> workers_of(const ipc::Scoreboard& board) {
    std::map<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>, Rows> workers;
    for (std::uint32_t index = 0; index < board.rows_used(); ++index) {
        const ipc::WorkerCell& row = board.row(index);
        const ipc::Tenant& tenant = row.tenant;
        if (tenant.pid.get() != 0 && tenant.kind() != ipc::Executor::keeper)
            workers[{~tenant.generation.get(), tenant.slot.get(), tenant.pid.get()}].push_back(&row);
    }
    std::vector<Rows> sorted;
    sorted.reserve(workers.size());
    for (auto& [key, rows] : workers) sorted.push_back(std::move(rows));
    return sorted;
}

}  // namespace

void Status::handle(http::Exchange& exchange) {
    constexpr std::array<std::string_view, 2> offered{"application/json", "text/html"};
    const std::string_view accept = exchange.request.joined(http::Known::accept, exchange.room);
    http::Response& response = exchange.response;
    if (http::best_of(accept, offered) == 1) {
        response.fields =
            "Content-Type: text/html; charset=utf-8\r\nVary: Accept\r\nCache-Control: no-store\r\n";
        response.add_lasting(page);
    } else {
        response.fields = "Content-Type: application/json\r\nVary: Accept\r\nCache-Control: no-store\r\n";
        add_own_text(response, json());
    }
    exchange.finish();
}

std::string Status::json() const {
    nlohmann::json status{
        {"version", REEVE_VERSION},
        {"master_pid", about_.master_pid},
        {"worker", about_.facts.slot},
        {"pid", about_.facts.pid},
        {"generation", about_.generation},
        {"uptime_seconds", (clock_.now_ms() - about_.started_ms) / 1000},
        {"workers", nlohmann::json::array()},
    };
    const std::uint64_t now_ms = clock_.now_ms();
    status["upstreams"] = nlohmann::json::array();
    for (const auto& upstream : ipc::report_upstreams(scoreboard_, now_ms)) {
        nlohmann::json one{{"name", upstream.name},
                           {"breaker", ipc::name(upstream.breaker.state)},
                           {"refused", upstream.refused},
                           {"hedges", upstream.hedges},
                           {"hedges_won", upstream.hedges_won},
                           {"hedges_refused", upstream.hedges_refused},
                           {"limit", upstream.limited ? nlohmann::json(upstream.limit) : nlohmann::json()},
                           {"waiting", upstream.waiting},
                           {"baseline_us", upstream.baseline_us},
                           {"shed", upstream.shed},
                           {"names", nlohmann::json::array()},
                           {"peers", nlohmann::json::array()}};
        for (const auto& name : ipc::report_names(scoreboard_, now_ms))
            if (name.upstream == upstream.name)
                one["names"].push_back({{"name", name.name},
                                        {"addresses", name.addresses},
                                        {"answers", name.answers},
                                        {"failures", name.failures},
                                        {"reason", name.reason}});
        for (const auto& peer : ipc::report_peers(scoreboard_, now_ms)) {
            if (peer.upstream != upstream.name) continue;
            one["peers"].push_back(
                {{"address", peer.address},
                 {"place", peer.place},
                 {"active", peer.active},
                 {"calls", peer.calls},
                 {"failures", std::accumulate(peer.failures.begin(), peer.failures.end(), std::uint64_t{0})},
                 {"ejected_ms", peer.ejected_ms},
                 {"health", ipc::name(peer.health)},
                 {"health_reason", peer.health_reason}});
        }
        status["upstreams"].push_back(std::move(one));
    }
    status["pools"] = nlohmann::json::array();
    for (std::uint32_t pool = 0; pools_ != nullptr && pool < pools_->pools(); ++pool)
        status["pools"].push_back(pool_json(pools_->report(pool, now_ms)));
    status["jobs"] = queues_ ? store_json(scoreboard_.jobs()) : nlohmann::json();
    for (const Rows& rows : workers_of(scoreboard_)) status["workers"].push_back(worker_json(rows, now_ms));
    return status.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace worker::handler
