// worker/handler/metrics.cpp: sums over rows, one family after the other.
#include "worker/handler/metrics.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/clock.h"
#include "ipc/upstream_report.h"
#include "worker/handler/job_metrics.h"
#include "worker/handler/metrics_text.h"
#include "worker/handler/own_text.h"

namespace worker::handler {
namespace {

constexpr std::array<std::string_view, 6> classes{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

using Text = MetricsText;
using Sum = HistogramSum;

std::string escaped(std::string_view value) { return escaped_label(value); }

double seconds(std::uint64_t us) { return in_seconds(us); }

void add_histogram(Text& text, const std::string& labels, const Sum& sum) { text.histogram(labels, sum); }

std::int64_t unix_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

template <class Visit>
void for_rows(const ipc::Scoreboard& board, const Visit& visit) {
    for (std::uint32_t row = 0; row < board.rows_used(); ++row) visit(board.row(row));
}

void add_requests(Text& text, const ipc::Scoreboard& board) {
    std::vector<std::array<std::uint64_t, classes.size()>> statuses(board.routes_used());
    std::vector<Sum> latencies(board.routes_used());
    for_rows(board, [&](const ipc::WorkerCell& row) {
        for (std::size_t route = 0; route < statuses.size(); ++route) {
            for (std::size_t i = 0; i < classes.size(); ++i)
                statuses[route][i] += row.routes[route].statuses[i].get();
            latencies[route].add(row.routes[route].latency);
        }
    });
    const auto label = [&](std::size_t route) {
        return "route=\"" + escaped(board.route_name(static_cast<std::uint32_t>(route))) + "\"";
    };
    text.family("reeve_requests_total", "counter",
                "Requests by route and class of status; none: closed without an answer.");
    for (std::size_t route = 0; route < statuses.size(); ++route)
        for (std::size_t i = 0; i < classes.size(); ++i)
            text.sample(fmt::format("{},status=\"{}\"", label(route), classes[i]), statuses[route][i]);
    text.family("reeve_limited_requests_total", "counter", "Requests refused by a limit of their route.");
    for (std::size_t route = 1; route < statuses.size(); ++route) {
        std::uint64_t rate = 0, conn = 0;
        for_rows(board, [&](const ipc::WorkerCell& row) {
            rate += row.routes[route].rate_limited.get();
            conn += row.routes[route].conn_limited.get();
        });
        text.sample(label(route) + ",limit=\"rate\"", rate);
        text.sample(label(route) + ",limit=\"conn\"", conn);
    }
    text.family("reeve_request_duration_seconds", "histogram",
                "From the first byte of a request to the last of its response.");
    for (std::size_t route = 0; route < latencies.size(); ++route)
        add_histogram(text, label(route), latencies[route]);
}

void add_totals(Text& text, const ipc::Scoreboard& board) {
    const auto total = board.totals();
    text.single("reeve_connections_accepted_total", "counter", "Connections taken.", total.accepted);
    text.single("reeve_connections_refused_total", "counter", "Connections over connections_max.",
                total.refused);
    text.single("reeve_accept_pauses_total", "counter", "Times accepting stopped for want of descriptors.",
                total.accept_pauses);
    text.single("reeve_received_bytes_total", "counter", "Bytes of requests.", total.bytes_in);
    text.single("reeve_sent_bytes_total", "counter", "Bytes of responses.", total.bytes_out);
    text.single("reeve_log_lines_dropped_total", "counter", "Access log lines lost to a full or slow disk.",
                total.log_lines_lost);
    text.single("reeve_slow_turns_total", "counter", "Turns of a loop longer than slow_loop.",
                total.slow_turns);
    text.family(
        "reeve_queue_refused_total", "counter",
        "Connections or requests that found no room to wait for a place or a thread, or waited too long.");
    text.sample("reason=\"full\"", total.queue_full);
    text.sample("reason=\"timeout\"", total.queue_late);
    Sum turns;
    for_rows(board, [&](const ipc::WorkerCell& row) {
        if (row.tenant.kind() != ipc::Executor::thread) turns.add(row.loop.turns);
    });
    text.family("reeve_loop_turn_seconds", "histogram",
                "How long turns of the event loops took, waiting apart: the most a ready event waits.");
    add_histogram(text, {}, turns);
}

void add_buffers(Text& text, const ipc::Scoreboard& board) {
    std::uint64_t memory = 0, file = 0, spilled = 0;
    std::array<std::array<std::uint64_t, ipc::buffer_refusals>, ipc::buffered_bodies> refused{};
    for_rows(board, [&](const ipc::WorkerCell& row) {
        memory += row.buffers.memory.get();
        file += row.buffers.file.get();
        spilled += row.buffers.spilled.get();
        for (std::size_t body = 0; body < refused.size(); ++body)
            for (std::size_t why = 0; why < ipc::buffer_refusals; ++why)
                refused[body][why] += row.buffers.refused[body][why].get();
    });
    text.family("reeve_buffered_bytes", "gauge", "Bytes of buffered bodies, by where they are.");
    text.sample("place=\"memory\"", memory);
    text.sample("place=\"file\"", file);
    text.single("reeve_buffer_spilled_bytes_total", "counter", "Bytes of bodies ever written to files.",
                spilled);
    text.family("reeve_buffer_refusals_total", "counter",
                "Bodies without room: requests were refused, responses waited for their client.");
    for (std::size_t body = 0; body < refused.size(); ++body)
        for (std::size_t why = 0; why < ipc::buffer_refusals; ++why)
            text.sample(
                fmt::format("body=\"{}\",reason=\"{}\"", ipc::name(static_cast<ipc::BufferedBody>(body)),
                            ipc::name(static_cast<ipc::BufferRefusal>(why))),
                refused[body][why]);
}

void add_workers(Text& text, const ipc::Scoreboard& board, std::uint64_t now_ms) {
    std::uint64_t connections = 0, waiting = 0;
    std::array<std::uint64_t, 3> executors{}, busy{};
    std::map<std::pair<std::uint64_t, ipc::SlotState>, std::uint64_t> workers;
    std::map<std::uint64_t, std::uint64_t> begun;
    for_rows(board, [&](const ipc::WorkerCell& row) {
        if (row.tenant.pid.get() == 0 || row.tenant.kind() == ipc::Executor::keeper) return;
        const auto generation = row.tenant.generation.get();
        connections += row.loop.connections.get();
        waiting += row.loop.waiting.get();
        const auto kind = static_cast<std::size_t>(row.tenant.kind());
        ++executors[kind];
        busy[kind] += row.loop.busy.get();
        if (row.tenant.number.get() == 0) ++workers[{generation, row.tenant.slot_state()}];
        begun[generation] = row.tenant.generation_ms.get();
    });
    text.single("reeve_connections", "gauge", "Connections open now.", connections);
    text.single("reeve_queue_waiting", "gauge", "Connections or requests that wait for a place or a thread.",
                waiting);
    text.family("reeve_executors", "gauge", "Loops and threads of all workers, by kind.");
    for (std::size_t kind = 0; kind < executors.size(); ++kind)
        text.sample(fmt::format("kind=\"{}\"", ipc::name(static_cast<ipc::Executor>(kind))), executors[kind]);
    text.family("reeve_executors_busy", "gauge",
                "Places taken, of loops with a concurrency; threads that run a handler.");
    for (const auto kind : {ipc::Executor::loop, ipc::Executor::thread})
        text.sample(fmt::format("kind=\"{}\"", ipc::name(kind)), busy[static_cast<std::size_t>(kind)]);
    text.family("reeve_workers", "gauge", "Processes by generation and state.");
    for (const auto& [key, count] : workers)
        text.sample(fmt::format("generation=\"{}\",state=\"{}\"", key.first, ipc::name(key.second)), count);
    text.family("reeve_generation_age_seconds", "gauge", "Age of each generation that has processes.");
    for (const auto& [generation, ms] : begun)
        text.sample(fmt::format("generation=\"{}\"", generation),
                    static_cast<double>(now_ms > ms ? now_ms - ms : 0) / 1000);
}

void add_listeners(Text& text, const ipc::Scoreboard& board) {
    text.family("reeve_accept_queue", "gauge",
                "Connections that wait to be accepted, looked at each second.");
    for (std::size_t index = 0; index < ipc::listener_cells; ++index) {
        const auto& cell = board.listener(index);
        const auto address = cell.address.get();
        if (address.empty()) break;
        text.sample("address=\"" + escaped(address) + "\"", cell.pending.get());
    }
}

std::string peer_label(const ipc::PeerReport& peer) {
    // Addresses of a name come and go: its places are few, and their counters only grow.
    const auto& name = peer.place.empty() ? peer.address : peer.place;
    return fmt::format("upstream=\"{}\",peer=\"{}\"", escaped(peer.upstream), escaped(name));
}

/// Of peers that have ever been checked: what is not known of the others is left out.
void add_checks(Text& text, std::vector<ipc::PeerReport> peers) {
    std::erase_if(peers, [](const auto& peer) { return peer.checks_passed + peer.checks_failed == 0; });
    if (peers.empty()) return;
    text.family("reeve_upstream_checks_total", "counter", "Checks of peers by result.");
    for (const auto& peer : peers) {
        text.sample(peer_label(peer) + ",result=\"passed\"", peer.checks_passed);
        text.sample(peer_label(peer) + ",result=\"failed\"", peer.checks_failed);
    }
    std::erase_if(peers, [](const auto& peer) { return !peer.checked_ago_ms; });
    if (peers.empty()) return;
    text.family("reeve_upstream_health", "gauge",
                "0: the peer is down by its checks; 1: it is up, or nothing is known yet.");
    for (const auto& peer : peers) text.sample(peer_label(peer), peer.health == ipc::Health::down ? 0 : 1);
    text.family("reeve_upstream_check_seconds", "gauge", "What the last check of the peer took.");
    for (const auto& peer : peers)
        text.sample(peer_label(peer), static_cast<double>(peer.check_us) / 1'000'000);
}

void add_peers(Text& text, const std::vector<ipc::PeerReport>& peers) {
    if (peers.empty()) return;
    const auto& label = peer_label;
    const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
        text.family(name, type, help);
        for (const auto& peer : peers) text.sample(label(peer), value(peer));
    };
    text.family("reeve_upstream_requests_total", "counter",
                "Calls to peers by class of status; none: without a response.");
    for (const auto& peer : peers)
        for (std::size_t i = 0; i < classes.size(); ++i)
            text.sample(fmt::format("{},status=\"{}\"", label(peer), classes[i]), peer.statuses[i]);
    text.family("reeve_upstream_failures_total", "counter", "Calls to peers that failed, by reason.");
    for (const auto& peer : peers)
        for (std::size_t i = 0; i < ipc::call_failures; ++i)
            text.sample(
                fmt::format("{},reason=\"{}\"", label(peer), ipc::name(static_cast<ipc::CallFailure>(i))),
                peer.failures[i]);
    text.family("reeve_upstream_duration_seconds", "histogram",
                "From asking a peer to the last byte of its response.");
    for (const auto& peer : peers) {
        Sum sum;
        sum.counts = peer.latency;
        sum.us = peer.latency_us;
        add_histogram(text, label(peer), sum);
    }
    each("reeve_upstream_active", "gauge", "Calls under way.", [](const auto& peer) { return peer.active; });
    each("reeve_upstream_connections_total", "counter", "Connections opened to peers.",
         [](const auto& peer) { return peer.connections; });
    each("reeve_upstream_ejections_total", "counter", "Times a peer was left alone after failures.",
         [](const auto& peer) { return peer.ejections; });
    each("reeve_upstream_ejected", "gauge", "1: the peer is left alone now.",
         [](const auto& peer) { return peer.ejected_ms > 0 ? 1 : 0; });
    add_checks(text, peers);
    if (std::none_of(peers.begin(), peers.end(), [](const auto& peer) { return !peer.place.empty(); }))
        return;
    text.family("reeve_upstream_address", "gauge", "1: the address that stands in a place of a name.");
    for (const auto& peer : peers)
        if (!peer.place.empty() && !peer.address.empty())
            text.sample(fmt::format("{},address=\"{}\"", peer_label(peer), escaped(peer.address)), 1);
}

void add_names(Text& text, const std::vector<ipc::NameReport>& names) {
    if (names.empty()) return;
    const auto label = [](const ipc::NameReport& name) {
        return fmt::format("upstream=\"{}\",name=\"{}\"", escaped(name.upstream), escaped(name.name));
    };
    text.family("reeve_upstream_name_addresses", "gauge", "Addresses of a peer that is a name.");
    for (const auto& name : names) text.sample(label(name), name.addresses);
    text.family("reeve_upstream_name_resolutions_total", "counter",
                "Times that its addresses were asked for.");
    for (const auto& name : names) {
        text.sample(label(name) + ",result=\"answered\"", name.answers);
        text.sample(label(name) + ",result=\"failed\"", name.failures);
    }
    text.family("reeve_upstream_name_answer_age_seconds", "gauge", "How old the last good answer is.");
    for (const auto& name : names)
        if (name.answered_ago_ms) text.sample(label(name), static_cast<double>(*name.answered_ago_ms) / 1000);
}

/// Of those that have a limit of concurrency.
void add_limits(Text& text, const std::vector<ipc::UpstreamReport>& upstreams) {
    const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
        text.family(name, type, help);
        for (const auto& upstream : upstreams)
            if (upstream.limited)
                text.sample(fmt::format("upstream=\"{}\"", escaped(upstream.name)), value(upstream));
    };
    if (std::none_of(upstreams.begin(), upstreams.end(), [](const auto& one) { return one.limited; })) return;
    each("reeve_upstream_concurrency_limit", "gauge", "Calls that may wait for an answer at once.",
         [](const auto& upstream) { return upstream.limit; });
    each("reeve_upstream_concurrency_waiting", "gauge", "Calls that wait for an answer.",
         [](const auto& upstream) { return upstream.waiting; });
    each("reeve_upstream_concurrency_baseline_seconds", "gauge",
         "How long answers take when calls do not wait for each other.",
         [](const auto& upstream) { return static_cast<double>(upstream.baseline_us) / 1'000'000; });
    each("reeve_upstream_concurrency_latency_seconds", "gauge", "How long answers took lately, the median.",
         [](const auto& upstream) { return static_cast<double>(upstream.latency_us) / 1'000'000; });
    each("reeve_upstream_concurrency_refused_total", "counter",
         "Requests refused because the upstream was at its limit.",
         [](const auto& upstream) { return upstream.shed; });
}

void add_upstreams(Text& text, const std::vector<ipc::UpstreamReport>& upstreams) {
    if (upstreams.empty()) return;
    constexpr std::array states{ipc::BreakerState::closed, ipc::BreakerState::open,
                                ipc::BreakerState::half_open};
    const auto label = [](const ipc::UpstreamReport& upstream) {
        return fmt::format("upstream=\"{}\"", escaped(upstream.name));
    };
    const auto each = [&](std::string_view name, std::string_view help, auto value) {
        text.family(name, "counter", help);
        for (const auto& upstream : upstreams) text.sample(label(upstream), value(upstream));
    };
    text.family("reeve_breaker_state", "gauge", "1 for the state that the breaker is in.");
    for (const auto& upstream : upstreams)
        for (const auto state : states)
            text.sample(fmt::format("{},state=\"{}\"", label(upstream), ipc::name(state)),
                        upstream.breaker.state == state ? 1 : 0);
    text.family("reeve_breaker_transitions_total", "counter",
                "Changes of the breaker, by the state they led to.");
    for (const auto& upstream : upstreams)
        for (const auto state : states)
            text.sample(fmt::format("{},to=\"{}\"", label(upstream), ipc::name(state)),
                        upstream.entered[static_cast<std::size_t>(state)]);
    each("reeve_breaker_failures_total", "Calls that the breaker counts as failed.",
         [](const auto& upstream) { return upstream.failures; });
    each("reeve_breaker_slow_total", "Calls that the breaker counts as slow.",
         [](const auto& upstream) { return upstream.slow; });
    each("reeve_breaker_refused_total", "Requests refused without asking anybody.",
         [](const auto& upstream) { return upstream.refused; });
    each("reeve_breaker_probes_total", "Requests let through to see whether it is better.",
         [](const auto& upstream) { return upstream.probes; });
    each("reeve_upstream_hedges_total", "Second copies of calls sent to another peer.",
         [](const auto& upstream) { return upstream.hedges; });
    each("reeve_upstream_hedges_won_total", "Second copies whose answer was first.",
         [](const auto& upstream) { return upstream.hedges_won; });
    each("reeve_upstream_hedges_refused_total",
         "Second copies that neither budget nor hedge_max had room for.",
         [](const auto& upstream) { return upstream.hedges_refused; });
    add_limits(text, upstreams);
}

std::string pool_label(const ipc::PoolReport& pool) { return fmt::format("pool=\"{}\"", escaped(pool.name)); }

void add_thread_pools(Text& text, const std::vector<ipc::PoolReport>& pools) {
    const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
        text.family(name, type, help);
        for (const auto& pool : pools) text.sample(pool_label(pool), value(pool));
    };
    each("reeve_thread_pool_threads", "gauge", "Threads of the pool, of all workers.",
         [](const auto& pool) { return pool.threads.threads; });
    each("reeve_thread_pool_busy", "gauge", "Threads that are at a task, or stuck in one.",
         [](const auto& pool) { return pool.threads.busy; });
    each("reeve_thread_pool_stuck", "gauge", "Threads whose task has taken too long, and goes on.",
         [](const auto& pool) { return pool.threads.stuck; });
    each("reeve_thread_pool_waiting", "gauge", "Tasks that wait for a thread.",
         [](const auto& pool) { return pool.threads.waiting; });
    each("reeve_thread_pool_tasks_total", "counter", "Tasks given to a thread.",
         [](const auto& pool) { return pool.tasks; });
    text.family("reeve_thread_pool_refused_total", "counter",
                "Tasks that got no thread: the queue was full, they waited too long, or nobody wanted them.");
    for (const auto& pool : pools) {
        text.sample(pool_label(pool) + ",reason=\"full\"", pool.refused_full);
        text.sample(pool_label(pool) + ",reason=\"late\"", pool.refused_late);
        text.sample(pool_label(pool) + ",reason=\"left\"", pool.left);
    }
    text.family("reeve_thread_pool_failed_total", "counter",
                "Tasks that took too long, or that an exception ended.");
    for (const auto& pool : pools) {
        text.sample(pool_label(pool) + ",reason=\"timeout\"", pool.timeouts);
        text.sample(pool_label(pool) + ",reason=\"threw\"", pool.threw);
    }
    each("reeve_thread_pool_busy_seconds_total", "counter",
         "How long threads had a task, all together; of those that took too long, their limit.",
         [](const auto& pool) { return seconds(pool.busy_us); });
    each("reeve_thread_pool_waited_seconds_total", "counter", "How long tasks waited, all together.",
         [](const auto& pool) { return seconds(pool.waited_us); });
    each("reeve_thread_pool_started_total", "counter", "Threads that were started.",
         [](const auto& pool) { return pool.started; });
}

void add_process_pools(Text& text, const std::vector<ipc::PoolReport>& pools) {
    const auto label = pool_label;
    const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
        text.family(name, type, help);
        for (const auto& pool : pools) text.sample(label(pool), value(pool));
    };
    text.family("reeve_pool_members", "gauge", "Processes of the pool by state.");
    for (const auto& pool : pools)
        for (std::size_t state = 1; state < ipc::member_states; ++state)  // `off` is no process
            text.sample(
                fmt::format("{},state=\"{}\"", label(pool), ipc::name(static_cast<ipc::MemberState>(state))),
                pool.states[state]);
    each("reeve_pool_waiting", "gauge", "Tasks that wait for a process.",
         [](const auto& pool) { return pool.waiting; });
    each("reeve_pool_tasks_total", "counter", "Tasks given to a process.",
         [](const auto& pool) { return pool.tasks; });
    text.family("reeve_pool_refused_total", "counter",
                "Tasks that got no process: the queue was full, they waited too long, or their client left.");
    for (const auto& pool : pools) {
        text.sample(label(pool) + ",reason=\"full\"", pool.refused_full);
        text.sample(label(pool) + ",reason=\"late\"", pool.refused_late);
        text.sample(label(pool) + ",reason=\"left\"", pool.left);
    }
    text.family("reeve_pool_failed_total", "counter",
                "Tasks that a process did not finish: they took too long, it died, or their client left.");
    for (const auto& pool : pools) {
        text.sample(label(pool) + ",reason=\"timeout\"", pool.timeouts);
        text.sample(label(pool) + ",reason=\"died\"", pool.died);
        text.sample(label(pool) + ",reason=\"left\"", pool.aborted);
    }
    each("reeve_pool_busy_seconds_total", "counter", "How long processes had a task, all together.",
         [](const auto& pool) { return seconds(pool.busy_us); });
    each("reeve_pool_waited_seconds_total", "counter", "How long tasks waited, all together.",
         [](const auto& pool) { return seconds(pool.waited_us); });
    each("reeve_pool_started_total", "counter", "Processes that were started.",
         [](const auto& pool) { return pool.started; });
    each("reeve_pool_crashes_total", "counter", "Processes that ended unasked.",
         [](const auto& pool) { return pool.crashes; });
    each("reeve_pool_kills_total", "counter", "Processes that did not end when they were told to.",
         [](const auto& pool) { return pool.kills; });
    each("reeve_pool_recycled_total", "counter", "Processes replaced for their age or their memory.",
         [](const auto& pool) { return pool.recycled; });
}

void add_pools(Text& text, const ipc::PoolTable& table, std::uint64_t now_ms) {
    std::vector<ipc::PoolReport> processes, threads;
    processes.reserve(table.pools());
    threads.reserve(table.pools());
    for (std::uint32_t pool = 0; pool < table.pools(); ++pool) {
        auto report = table.report(pool, now_ms);
        (report.of_threads ? threads : processes).push_back(std::move(report));
    }
    if (!processes.empty()) add_process_pools(text, processes);
    if (!threads.empty()) add_thread_pools(text, threads);
}

void add_masters(Text& text, const ipc::Scoreboard& board, std::uint64_t now_us, std::int64_t now_unix_us) {
    const auto& masters = board.masters();
    text.family("reeve_worker_restarts_total", "counter", "Workers replaced, by cause.");
    for (std::size_t cause = 0; cause < ipc::restart_causes; ++cause)
        text.sample(fmt::format("cause=\"{}\"", ipc::name(static_cast<ipc::RestartCause>(cause))),
                    masters.restarts[cause].get());
    text.family("reeve_reloads_total", "counter", "Reloads by result.");
    text.sample("result=\"success\"", masters.reloads.get());
    text.sample("result=\"failure\"", masters.reload_failures.get());
    text.family("reeve_upgrades_total", "counter", "Upgrades of the binary by result.");
    text.sample("result=\"success\"", masters.upgrades.get());
    text.sample("result=\"failure\"", masters.upgrade_failures.get());
    text.single("reeve_poison_requests_total", "counter", "Crashes in which a request was in flight again.",
                masters.poison_requests.get());
    text.single("reeve_generation", "gauge", "Number of the generation that serves.",
                masters.generation.get());
    text.single("reeve_last_reload_timestamp_seconds", "gauge",
                "When the configuration that serves came into force.", masters.last_reload_unix.get());
    // In whole seconds: whoever is asked, and whenever, it is the same number.
    const auto up_us = now_us - std::min(now_us, masters.started_ms.get() * 1000);
    text.single("reeve_start_time_seconds", "gauge", "When the first master started.",
                (now_unix_us - static_cast<std::int64_t>(up_us) + 500'000) / 1'000'000);
    text.family("reeve_build_info", "gauge", "1, with the version of who answers.");
    text.sample(fmt::format("version=\"{}\"", escaped(REEVE_VERSION)), 1);
}

}  // namespace

std::string metrics_text(const ipc::Scoreboard& board, std::uint64_t now_us, std::int64_t now_unix_us,
                         const ipc::PoolTable* pools) {
    Text text;
    add_requests(text, board);
    add_totals(text, board);
    add_buffers(text, board);
    add_workers(text, board, now_us / 1000);
    add_listeners(text, board);
    add_peers(text, ipc::report_peers(board, now_us / 1000));
    add_upstreams(text, ipc::report_upstreams(board, now_us / 1000));
    add_names(text, ipc::report_names(board, now_us / 1000));
    if (pools != nullptr) add_pools(text, *pools, now_us / 1000);
    add_job_metrics(text, board, now_unix_us);
    add_masters(text, board, now_us, now_unix_us);
    return text.take();
}

void Metrics::handle(http::Exchange& exchange) {
    http::Response& response = exchange.response;
    response.fields = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nCache-Control: no-store\r\n";
    add_own_text(response, metrics_text(scoreboard_, ipc::monotonic_us(), unix_us(), pools_));
    exchange.finish();
}

}  // namespace worker::handler
