// conf/execution_check.cpp: knobs of [execution] that contradict each other, and those that say nothing.
#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "conf/check.h"
#include "conf/models.h"
#include "conf/units.h"

namespace conf {
namespace {

bool is_written(const Section* section, std::string_view key) {
    return section != nullptr &&
           std::any_of(section->entries.begin(), section->entries.end(), [&](const Entry& entry) {
               return entry.key == key && !entry.refused && !entry.value.empty();
           });
}

class Knobs {
 public:
    Knobs(const Execution& knobs, const Section* section, Report& report)
        : knobs_(knobs), section_(section), report_(report) {}

    void check() {
        if (knobs_.processes_max > 0) check_process();
        check_count();
    }

    void advise() {
        if (knobs_.accept != Accept::handoff || knobs_.concurrency > 0)
            idle("handoff", knobs_.concurrency > 0
                                ? "with concurrency a connection goes to whichever loop is free"
                                : "says nothing unless accept = handoff");
        if (knobs_.concurrency == 0 && knobs_.handlers == Handlers::inlined)
            for (const std::string_view key : {"queue", "queue_timeout"})
                idle(key, "nothing waits without concurrency or handlers = threads");
        if (knobs_.handlers == Handlers::inlined) idle("threads", "says nothing unless handlers = threads");
        if (knobs_.processes_max == 0)
            for (const std::string_view key : {"spares_min", "spares_max"})
                idle(key, "says nothing without processes_max");
        if (knobs_.preload && knobs_.workers == 1 && knobs_.processes_max == 0)
            idle("preload", "one worker has nobody to share its memory with");
        if (knobs_.accept == Accept::handoff && knobs_.loops == 1 && knobs_.concurrency == 0)
            report_.advise(
                where("accept"),
                "accept: one loop accepts for one other; loops = N would give it more to choose from");
    }

 private:
    void check_process() {
        if (knobs_.accept != Accept::shared)
            refuse("accept", "accept: processes_max needs `shared`: whichever process is idle accepts");
        if (knobs_.loops != 1)
            refuse("loops", "loops: with processes_max a process has one connection, and one loop");
        if (knobs_.handlers != Handlers::inlined)
            refuse("handlers", "handlers: with processes_max they may block where they are, `inline`");
        if (knobs_.concurrency > 1)
            refuse("concurrency",
                   "concurrency: with processes_max a process serves one connection at a time");
        if (knobs_.workers > knobs_.processes_max)
            refuse("workers", fmt::format("workers: {} are more than processes_max, {}", knobs_.workers,
                                          knobs_.processes_max));
        if (knobs_.spares_min > knobs_.spares_max)
            refuse("spares_min", fmt::format("spares_min: {} are more than spares_max, {}", knobs_.spares_min,
                                             knobs_.spares_max));
    }

    void check_count() {
        const auto here = crew_of(knobs_, 1).executors();
        const std::uint64_t all = std::uint64_t{std::max(knobs_.workers, 1u)} * here;
        if (all > executors_max)
            refuse(is_written(section_, "threads") ? "threads"
                   : is_written(section_, "loops") ? "loops"
                                                   : "workers",
                   fmt::format("workers: {} of them with {} loops and threads each are more than the {} that "
                               "there may be",
                               std::max(knobs_.workers, 1u), here, executors_max));
    }

    [[nodiscard]] Place where(std::string_view key) const { return place_of(section_, key); }
    void refuse(std::string_view key, std::string message) {
        if (is_sound(section_, key)) report_.refuse(where(key), std::move(message));
    }
    /// A setting that was written for nothing.
    void idle(std::string_view key, std::string_view why) {
        if (is_written(section_, key)) report_.advise(where(key), fmt::format("{}: {}", key, why));
    }

    const Execution& knobs_;
    const Section* section_;
    Report& report_;
};

void advise_cores(const Execution& execution, const Section* origin, unsigned cores, Report& report) {
    if (cores == 0) return;
    if (execution.processes_max == 0 && execution.workers > cores)
        report.advise(
            place_of(origin, "workers"),
            fmt::format("workers: {} are more than the {} cores of this machine", execution.workers, cores));
    else if (execution.concurrency == 0 && execution.loops > cores)
        report.advise(
            place_of(origin, "loops"),
            fmt::format("loops: {} are more than the {} cores of this machine", execution.loops, cores));
}

/// What a client that says nothing keeps from others.
void advise_waiting(const Config& config, const Section* origin, Report& report) {
    constexpr Milliseconds long_time{10'000};
    if (config.execution.processes_max == 0) return;
    for (const auto& server : config.servers)
        if (server.limits.keepalive_timeout > long_time)
            return report.advise(
                place_of(origin, "processes_max"),
                fmt::format("processes_max: an idle connection keeps a process for keepalive_timeout, {}",
                            print_time(server.limits.keepalive_timeout)));
}

}  // namespace

void check_execution(const Config& config, const Origins& origins, Report& report) {
    Knobs(config.execution, origins.execution, report).check();
}

void advise_execution(const Config& config, const Origins& origins, unsigned cores, Report& report) {
    const auto& execution = config.execution;
    advise_cores(execution, origins.execution, cores, report);
    advise_waiting(config, origins.execution, report);
    Knobs(execution, origins.execution, report).advise();
    if (execution.open_file_cache != 0 && execution.open_file_cache_small > execution.open_file_cache_memory)
        report.advise(
            place_of(origins.execution, "open_file_cache_small"),
            fmt::format("open_file_cache_small: one file may fill all of open_file_cache_memory, {}",
                        print_size(execution.open_file_cache_memory)));
    const auto needed = [&](const Server& server) {
        return server.limits.connections_max + execution.open_file_cache;
    };
    std::uint64_t most = 0;
    for (const auto& server : config.servers) most = std::max(most, needed(server));
    if (config.reeve.open_files != 0 && config.reeve.open_files < most)
        report.advise(
            place_of(origins.reeve, "open_files"),
            fmt::format(
                "open_files: {} are fewer than the {} that connections_max and open_file_cache may take",
                config.reeve.open_files, most));
}

}  // namespace conf
