#include <string>

#include <fmt/format.h>

#include "conf/load.h"
#include "conf/pool_types.h"
#include "conf/postgres_url.h"
#include "conf/settings.h"

namespace conf {
namespace {

template <class Section>
bool is_used(const Setting<Section>&, const Section&) {
    return true;
}

/// What another handler would use is refused in this route, so it is not shown.
bool is_used(const Setting<Route>& row, const Route& route) { return is_used_by(row, route.handler); }

/// Likewise what only processes know, in a pool of threads.
bool is_used(const Setting<Pool>& row, const Pool& pool) {
    if (is_hosted(pool)) return hosted_know(row.key);
    return pool.kind == Pool::Kind::process || threads_know(row.key);
}

/// Every setting below its comment; one without a value stays a comment.
template <class Section>
void write(std::string& out, std::string_view header, const Settings<Section>& rows, const Section& section) {
    out += fmt::format("\n[{}]\n", header);
    for (const auto& row : rows) {
        if (!is_used(row, section)) continue;
        out += fmt::format("; {}\n", row.comment);
        const auto values = row.write(section);
        if (values.empty()) out += fmt::format("; {} =\n", row.key);
        for (const auto& value : values) out += fmt::format("{} = {}\n", row.key, value);
    }
}

}  // namespace

std::string dump(const Config& given) {
    Config config = given;
    complete(config);
    std::string out = "; The effective configuration: every setting, written or not.\n";
    write(out, "reeve", reeve_settings(), config.reeve);
    write(out, "execution", execution_settings(), config.execution);
    for (const auto& server : config.servers) write(out, "server " + server.name, server_settings(), server);
    for (const auto& upstream : config.upstreams)
        write(out, "upstream " + upstream.name, upstream_settings(), upstream);
    for (const auto& pool : config.pools) write(out, "pool " + pool.name, pool_settings(), pool);
    for (const auto& module : config.modules) write(out, "module " + module.name, module_settings(), module);
    if (!config.queues.empty() || config.store != Store{})
        write(out, "store", store_settings(), config.store);
    for (const auto& queue : config.queues)
        if (!queue.internal) write(out, "queue " + queue.name, queue_settings(), queue);
    for (const auto& schedule : config.schedules)
        write(out, "schedule " + schedule.name, schedule_settings(), schedule);
    for (const auto& route : config.routes) write(out, "route " + route.name, route_settings(), route);
    return out;
}

std::string dump_without_secrets(const Config& given) {
    Config config = given;
    bool hidden = false;
    for (auto& upstream : config.upstreams) {
        if (upstream.sticky.secret.empty()) continue;
        upstream.sticky.secret = hidden_secret;
        hidden = true;
    }
    for (auto& queue : config.queues) {
        if (queue.callbacks.secret.empty()) continue;
        queue.callbacks.secret = hidden_secret;
        hidden = true;
    }
    if (has_password(config.store.url)) {
        config.store.url = without_password(config.store.url, hidden_secret);
        hidden = true;
    }
    for (auto& route : config.routes) {
        if (route.jobs.token.empty()) continue;
        route.jobs.token = hidden_secret;
        hidden = true;
    }
    std::string out = dump(config);
    if (hidden)
        out.insert(
            0, fmt::format("; Secrets are not shown: {} stands for each, and must be replaced to use this.\n",
                           hidden_secret));
    return out;
}

}  // namespace conf
