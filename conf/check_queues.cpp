// conf/check_queues.cpp: what queues must be to pools, upstreams and the routes that lead to them.
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "conf/check.h"
#include "conf/nearest.h"
#include "conf/plan.h"
#include "conf/postgres_url.h"
#include "conf/units.h"

namespace conf {
namespace {

using Handler = Route::Handler;

template <class Named>
std::vector<std::string_view> names_of(const std::vector<Named>& all) {
    std::vector<std::string_view> names;
    names.reserve(all.size());
    for (const auto& one : all) names.push_back(one.name);
    return names;
}

class QueueChecks {
 public:
    QueueChecks(const Config& config, std::size_t index, const Origins& origins, Report& report)
        : config_(config),
          queue_(config.queues[index]),
          origin_(origins.queues.at(index)),
          origins_(origins),
          report_(report) {}

    void check() {
        check_callbacks();
        if (!is_sound(origin_, "pool") || !is_sound(origin_, "upstream")) return;
        if (queue_.pool.empty() == queue_.upstream.name.empty()) return refuse_runner();
        if (queue_.pool.empty())
            check_name(config_.upstreams, queue_.upstream.name, "upstream", "upstream");
        else
            check_pool();
        if (queue_.job_size_max > config_.store.bodies_max && is_sound(origin_, "job_size_max") &&
            (origins_.store == nullptr || is_sound(origins_.store, "bodies_max")))
            report_.refuse(place_of(origin_, "job_size_max"),
                           fmt::format("job_size_max: bodies_max of [store] has room for {} in all",
                                       print_size(config_.store.bodies_max)));
        if (!queue_.script.empty() && queue_.pool.empty())
            report_.refuse(place_of(origin_, "script"),
                           "script: is for programs of a pool; an upstream is asked for a path");
        if (!queue_.function.empty() && queue_.pool.empty())
            report_.refuse(place_of(origin_, "function"),
                           "function: is of a pool's module; an upstream is asked for a path");
    }

    void advise() {
        const bool filled =
            std::any_of(config_.routes.begin(), config_.routes.end(), [&](const Route& route) {
                return route.handler == Handler::module ||
                       (route.handler == Handler::enqueue && route.enqueue == queue_.name) ||
                       route.async.queue == queue_.name;
            });
        const bool scheduled =
            std::any_of(config_.schedules.begin(), config_.schedules.end(),
                        [&](const Schedule& schedule) { return schedule.queue == queue_.name; });
        if (!filled && !scheduled)
            report_.advise(origin_->place, fmt::format("no route leads to {}", origin_->text()));
        if (queue_.job_size_max > queue_.size_max.bytes)
            report_.advise(place_of(origin_, "job_size_max"),
                           fmt::format("job_size_max: is never reached, size_max has room for {}",
                                       print_size(queue_.size_max.bytes)));
        if (!queue_.script.empty() && ::access(queue_.script.c_str(), F_OK) != 0)
            report_.advise(place_of(origin_, "script"), fmt::format("script: there is no {}", queue_.script));
        if (queue_.key_concurrency >= queue_.concurrency)
            report_.advise(place_of(origin_, "key_concurrency"),
                           "key_concurrency: means nothing, concurrency is not more");
        for (const auto& pool : config_.pools) {
            if (pool.name != queue_.pool) continue;
            const bool hosted = is_hosted(pool);
            const auto places = hosted ? thread_number(pool).begin : pool_size(pool, 1).max;
            if (is_written("concurrency") && places < queue_.concurrency && (pool.size != 0 || pool.size_max))
                report_.advise(place_of(origin_, "concurrency"),
                               fmt::format("concurrency: [pool {}] has {} {} at most", pool.name, places,
                                           hosted ? "threads" : "processes"));
        }
    }

 private:
    void check_callbacks() {
        const auto& callbacks = queue_.callbacks;
        if (!is_sound(origin_, "callbacks") || !is_sound(origin_, "callback_upstream") ||
            !is_sound(origin_, "callback_secret"))
            return;
        if (callbacks.urls.empty()) {
            for (const std::string_view key : {"callback_upstream", "callback_secret"})
                if (is_written(key))
                    report_.refuse(place_of(origin_, key),
                                   fmt::format("{}: there are no callbacks, which say who may be told", key));
            return;
        }
        const auto place = place_of(origin_, "callbacks");
        if (callbacks.upstream.empty())
            report_.refuse(place, "callbacks: want a callback_upstream, whose peers are told");
        else
            check_name(config_.upstreams, callbacks.upstream, "callback_upstream", "upstream");
        if (callbacks.secret.empty())
            report_.refuse(place, "callbacks: want a callback_secret, by which who is told knows us");
    }

    void refuse_runner() {
        if (queue_.pool.empty())
            return report_.refuse(
                origin_->place,
                fmt::format("{} has neither pool nor upstream: nobody runs its jobs", origin_->text()));
        report_.refuse(place_of(origin_, "upstream"),
                       fmt::format("upstream: {} has a pool already", origin_->text()));
    }

    [[nodiscard]] bool is_written(std::string_view key) const {
        return std::any_of(origin_->entries.begin(), origin_->entries.end(),
                           [&](const Entry& entry) { return entry.key == key; });
    }

    template <class Named>
    bool check_name(const std::vector<Named>& all, const std::string& name, std::string_view key,
                    std::string_view kind) {
        const auto names = names_of(all);
        if (std::find(names.begin(), names.end(), name) != names.end()) return true;
        report_.refuse(place_of(origin_, key),
                       fmt::format("{}: there is no [{} {}]{}", key, kind, name, hint(name, names)));
        return false;
    }

    void check_pool() {
        if (!check_name(config_.pools, queue_.pool, "pool", "pool")) return;
        for (std::size_t i = 0; i < config_.pools.size(); ++i) {
            const auto& pool = config_.pools[i];
            if (pool.name != queue_.pool) continue;
            const bool hosted = is_hosted(pool);
            if (pool.kind == Pool::Kind::thread && !hosted && is_sound(origins_.pools.at(i), "kind"))
                report_.refuse(place_of(origin_, "pool"),
                               fmt::format("pool: [pool {}] is of threads of workers, which run no jobs: one "
                                           "that crashes would cost their clients. `run = module NAME` there "
                                           "gives its threads a process of their own",
                                           pool.name));
            if (hosted && queue_.function.empty())
                report_.refuse(place_of(origin_, "pool"),
                               fmt::format("pool: [pool {}] is of threads, which run a function: name it, "
                                           "`function = NAME`",
                                           pool.name));
            if (!queue_.function.empty() && pool.kind != Pool::Kind::thread &&
                pool.run.kind != PoolRun::Kind::module && is_sound(origins_.pools.at(i), "run"))
                report_.refuse(
                    place_of(origin_, "function"),
                    fmt::format("function: [pool {}] has no module, whose function it would be", pool.name));
            if (!queue_.script.empty() && pool.kind != Pool::Kind::thread &&
                pool.run.kind != PoolRun::Kind::fastcgi && is_sound(origins_.pools.at(i), "run"))
                report_.refuse(place_of(origin_, "script"),
                               fmt::format("script: [pool {}] runs no FastCGI programs, which are told of it",
                                           pool.name));
            if (pool.run.kind == PoolRun::Kind::work && is_sound(origins_.pools.at(i), "run"))
                report_.refuse(
                    place_of(origin_, "pool"),
                    fmt::format("pool: [pool {}] does what routes with work_pool say, no jobs", pool.name));
        }
    }

    const Config& config_;
    const Queue& queue_;
    const Section* origin_;
    const Origins& origins_;
    Report& report_;
};

/// Who does a request now is who does it later.
void check_async(const Config& config, const Route& route, const Section* origin, Report& report) {
    const auto refuse = [&](std::string text) {
        report.refuse(place_of(origin, "async"), "async: " + std::move(text));
    };
    const auto queue = std::find_if(config.queues.begin(), config.queues.end(),
                                    [&](const Queue& one) { return one.name == route.async.queue; });
    if (queue == config.queues.end())
        return refuse(fmt::format("there is no [queue {}]{}", route.async.queue,
                                  hint(route.async.queue, names_of(config.queues))));
    if (queue->pool.empty() == queue->upstream.name.empty()) return;  // which is told
    const auto of = [](const std::string& pool, const std::string& upstream) {
        return pool.empty() ? fmt::format("[upstream {}]", upstream) : fmt::format("[pool {}]", pool);
    };
    const auto later = of(queue->pool, queue->upstream.name), now = of(route.pool, route.proxy.upstream);
    if (later != now)
        refuse(fmt::format("jobs of [queue {}] go to {}, and requests of this route to {}", queue->name,
                           later, now));
}

}  // namespace

bool has_jobs(const Config& config) noexcept { return !config.queues.empty(); }

void check_queues(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.queues.size(); ++i) QueueChecks(config, i, origins, report).check();
    const auto telling = std::count_if(config.queues.begin(), config.queues.end(), [](const Queue& queue) {
        return !queue.callbacks.urls.empty() && !queue.internal;
    });
    const auto all = config.queues.size() + static_cast<std::size_t>(telling);
    if (all > queues_max)
        report.refuse(origins.queues.back()->place,
                      fmt::format("there are {} queues{}, and there may be {}", all,
                                  telling > 0 ? " (one with callbacks counts twice)" : "", queues_max));
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        const auto* origin = origins.routes.at(i);
        if (route.handler == Handler::enqueue && is_sound(origin, "enqueue")) {
            const auto names = names_of(config.queues);
            if (std::find(names.begin(), names.end(), route.enqueue) == names.end())
                report.refuse(place_of(origin, "enqueue"),
                              fmt::format("enqueue: there is no [queue {}]{}", route.enqueue,
                                          hint(route.enqueue, names)));
        }
        if (!route.async.queue.empty() && is_sound(origin, "async"))
            check_async(config, route, origin, report);
        if (route.async.queue.empty() && route.async.credentials)
            report.refuse(place_of(origin, "async_credentials"),
                          "async_credentials: means nothing without async");
        if (route.handler != Handler::jobs) continue;
        if (config.queues.empty())
            report.refuse(place_of(origin, "jobs"), "jobs: there is no [queue NAME], so there are no jobs");
        else if (route.jobs.token.empty() && route.jobs.allow.empty() && is_sound(origin, "jobs_token") &&
                 is_sound(origin, "allow"))
            report.refuse(
                place_of(origin, "jobs"),
                "jobs: whoever reaches this route could read, cancel and purge all jobs: it wants a "
                "jobs_token, or addresses to allow (`allow = all` where that is meant)");
        if (route.path.kind != PathMatch::Kind::prefix && is_sound(origin, "path"))
            report.refuse(place_of(origin, "path"), "path: that of jobs is a prefix, which jobs stand below");
    }
}

namespace {

void advise_store(const Store& store, const Section* origin, Report& report) {
    if (origin == nullptr) return;
    const Store unsaid;
    if (!store.shared()) {
        if (store.lease != unsaid.lease)
            report.advise(place_of(origin, "lease"), "lease: means nothing, one machine has a SQLite file");
        return;
    }
    if (store.wal_max != unsaid.wal_max)
        report.advise(place_of(origin, "wal_max"), "wal_max: means nothing, PostgreSQL has its own log");
    if (has_password(store.url))
        report.advise(place_of(origin, "url"),
                      "url: has a password, and whoever reads this file has it too; libpq takes it from the "
                      "file that passfile= names, or none is needed over a Unix socket (peer)");
    if (trusts_the_network(store.url))
        report.advise(place_of(origin, "url"),
                      "url: jobs go over the network in the clear unless the server insists on TLS; say "
                      "sslmode=verify-full");
    if (store.lease < 2 * store.timeout)
        report.advise(place_of(origin, "lease"),
                      fmt::format("lease: a batch may take {}; should a few of them be slow, jobs that run "
                                  "are taken for lost and run twice",
                                  print_time(store.timeout)));
}

}  // namespace

void advise_queues(const Config& config, const Origins& origins, Report& report) {
    advise_store(config.store, origins.store, report);
    for (std::size_t i = 0; i < config.queues.size(); ++i) QueueChecks(config, i, origins, report).advise();
    if (origins.store != nullptr && config.queues.empty())
        report.advise(origins.store->place, "[store]: there is no [queue NAME], so nothing is stored");
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        const auto* origin = origins.routes.at(i);
        if (route.handler == Handler::enqueue && jobs_route(config, route) == nullptr)
            report.advise(place_of(origin, "enqueue"),
                          "enqueue: no route with `jobs = on` is on its servers; answers have no Location, "
                          "and nobody can ask what became of a job");
        if (!route.async.queue.empty() && jobs_route(config, route) == nullptr)
            report.advise(place_of(origin, "async"),
                          "async: no route with `jobs = on` is on its servers; answers have no Location, and "
                          "results cannot be had but within `wait=`");
    }
}

const Route* jobs_route(const Config& config, const Route& from) noexcept {
    for (const auto& route : config.routes) {
        if (route.handler != Handler::jobs) continue;
        const bool everywhere = from.servers.empty() || route.servers.empty();
        if (everywhere || std::any_of(from.servers.begin(), from.servers.end(), [&](const auto& name) {
                return std::find(route.servers.begin(), route.servers.end(), name) != route.servers.end();
            }))
            return &route;
    }
    return nullptr;
}

}  // namespace conf
