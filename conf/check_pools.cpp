// conf/check_pools.cpp: what the settings of a pool must be to each other, and to this machine.
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "conf/check.h"
#include "conf/pool_types.h"
#include "conf/units.h"

namespace conf {
namespace {

class PoolChecks {
 public:
    PoolChecks(const Pool& pool, const Section* origin, Report& report)
        : pool_(pool), origin_(origin), report_(report) {}

    void check() {
        if (pool_.kind == Pool::Kind::thread)
            check_threads();
        else
            check_run();
        check_size();
        check_lists();
    }

    void check_here() {
        if (pool_.kind == Pool::Kind::thread && !is_hosted(pool_)) return;
        const bool executed = pool_.run.kind != PoolRun::Kind::module;  // modules are loaded, to see
        if (is_sound(origin_, "run") && !pool_.run.command.empty() && executed) {
            const auto& program = pool_.run.command.front();
            if (find_program(program).empty())
                refuse("run",
                       program.find('/') != std::string::npos
                           ? fmt::format("there is no program {}", shown(program))
                           : fmt::format("there is no program {} in {}", shown(program), program_path));
        }
        struct stat found {};
        if (!pool_.directory.empty() &&
            (::stat(pool_.directory.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)))
            refuse("directory", fmt::format("there is no folder {}", shown(pool_.directory)));
        check_user();
    }

    void advise(const Config& config) {
        const bool threads = pool_.kind == Pool::Kind::thread;
        if ((is_hosted(pool_) ||
             std::none_of(config.routes.begin(), config.routes.end(),
                          [&](const Route& route) {
                              if (route.handler == Route::Handler::work && route.work.pool == pool_.name)
                                  return true;
                              if (route.handler == Route::Handler::module)
                                  return true;  // names pools in its code
                              if (threads)
                                  return route.handler == Route::Handler::files &&
                                         route.files.open_pool == pool_.name;
                              return route.handler == Route::Handler::pool && route.pool == pool_.name;
                          })) &&
            std::none_of(config.queues.begin(), config.queues.end(),
                         [&](const Queue& queue) { return queue.pool == pool_.name; }))
            report_.advise(origin_->place, is_hosted(pool_)
                                               ? fmt::format("no queue names {}", origin_->text())
                                               : fmt::format("no route {} {}", threads ? "names" : "leads to",
                                                             origin_->text()));
        for (const auto& limit : pool_.rlimits)
            if (limit.what == ResourceLimit::What::memory && pool_.max_memory >= limit.value)
                report_.advise(place_of(origin_, "max_memory"),
                               "max_memory: is never reached, rlimits end a process before");
        if (pool_.queue > 0 && pool_.queue_timeout > pool_.timeout * 10)
            report_.advise(place_of(origin_, "queue_timeout"),
                           fmt::format("queue_timeout: {} is long for tasks that may take {}; whoever waits "
                                       "so long has given up",
                                       print_time(pool_.queue_timeout), print_time(pool_.timeout)));
        if (!pool_.user.empty() && pool_.user == "root")
            report_.advise(place_of(origin_, "user"), "user: whatever this pool runs, it runs as root");
    }

 private:
    void refuse(std::string_view key, const std::string& why) {
        report_.refuse(place_of(origin_, key), fmt::format("{}: {}", key, why));
    }

    void check_run() {
        if (!is_sound(origin_, "run")) return;
        if (!pool_.run.is_set())
            report_.refuse(origin_->place, fmt::format("{} has no run", origin_->text()));
    }

    void check_threads() {
        const bool hosted = is_hosted(pool_);
        for (const Entry& entry : origin_->entries)
            if (!entry.refused && !entry.continued &&
                !(hosted ? hosted_know(entry.key) : threads_know(entry.key)))
                report_.refuse(entry.place, hosted
                                                ? fmt::format("{}: is not of threads that do jobs", entry.key)
                                                : fmt::format("{}: is of processes, and {} is of threads",
                                                              entry.key, origin_->text()));
        if (hosted && pool_.run.kind != PoolRun::Kind::module && is_sound(origin_, "run"))
            refuse("run", "threads do jobs by functions of a module: `module NAME`");
        if (hosted && pool_.run.command.size() > 1)
            refuse("run", "threads that do jobs answer no requests: no handler is named");
    }

    void check_size() {
        for (const std::string_view key : {"size", "size_min", "size_max"})
            if (!is_sound(origin_, key)) return;
        if (pool_.size_min && pool_.size_max && *pool_.size_min > *pool_.size_max)
            return refuse("size_min",
                          fmt::format("{} is more than size_max, {}", *pool_.size_min, *pool_.size_max));
        if (pool_.size == 0) return;
        if (pool_.size_min && *pool_.size_min > pool_.size)
            refuse("size_min", fmt::format("{} is more than size, {}", *pool_.size_min, pool_.size));
        if (pool_.size_max && *pool_.size_max < pool_.size)
            refuse("size_max", fmt::format("{} is less than size, {}", *pool_.size_max, pool_.size));
    }

    void check_lists() {
        std::set<std::string_view> names, limits;
        for (const auto& variable : pool_.environment)
            if (!names.insert(variable.name).second)
                refuse("environment", fmt::format("{} stands twice", variable.name));
        for (const auto& limit : pool_.rlimits)
            if (!limits.insert(name(limit.what)).second)
                refuse("rlimits", fmt::format("{} stands twice", name(limit.what)));
    }

    void check_user() {
        if (pool_.user.empty()) return;
        const passwd* known = ::getpwnam(pool_.user.c_str());
        if (known == nullptr) return refuse("user", fmt::format("there is no user {}", shown(pool_.user)));
        if (::geteuid() != 0 && known->pw_uid != ::geteuid())
            refuse("user", fmt::format("only root can run processes as {}", pool_.user));
    }

    const Pool& pool_;
    const Section* origin_;
    Report& report_;
};

}  // namespace

void check_pools(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        PoolChecks(config.pools[i], origins.pools.at(i), report).check();
    if (config.pools.size() > pools_max)
        report.refuse(origins.pools.back()->place,
                      fmt::format("there are {} pools, and there may be {}", config.pools.size(), pools_max));
}

void check_pools_here(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        PoolChecks(config.pools[i], origins.pools.at(i), report).check_here();
}

void advise_pools(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        PoolChecks(config.pools[i], origins.pools.at(i), report).advise(config);
}

}  // namespace conf
