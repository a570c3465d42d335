// conf/check_schedules.cpp: what schedules must be to themselves, to queues, and to this machine.
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "conf/check.h"
#include "conf/nearest.h"
#include "conf/units.h"

namespace conf {
namespace {

const Queue* queue_of(const Config& config, const Schedule& schedule) {
    const auto found = std::find_if(config.queues.begin(), config.queues.end(),
                                    [&](const Queue& queue) { return queue.name == schedule.queue; });
    return found == config.queues.end() ? nullptr : &*found;
}

void check_time(const Schedule& schedule, const Section* origin, Report& report) {
    if (!is_sound(origin, "cron") || !is_sound(origin, "every")) return;
    const bool cron = !schedule.cron.text.empty(), every = schedule.every.count() > 0;
    if (cron && every)
        report.refuse(place_of(origin, "every"), fmt::format("every: {} has a cron already", origin->text()));
    if (!cron && !every)
        report.refuse(origin->place,
                      fmt::format("{} has neither cron nor every: it is never due", origin->text()));
}

void check_body(const Schedule& schedule, const Queue& queue, const Section* origin, Report& report) {
    if (!schedule.body.empty() && !schedule.body_file.empty())
        report.refuse(place_of(origin, "body_file"),
                      fmt::format("body_file: {} has a body already", origin->text()));
    if (schedule.body.size() > queue.job_size_max)
        report.refuse(place_of(origin, "body"),
                      fmt::format("body: has {} bytes, and a job of [queue {}] may have {}",
                                  schedule.body.size(), queue.name, print_size(queue.job_size_max)));
}

}  // namespace

void check_schedules(const Config& config, const Origins& origins, Report& report) {
    std::vector<std::string_view> names;
    names.reserve(config.queues.size());
    for (const auto& queue : config.queues) names.push_back(queue.name);
    for (std::size_t i = 0; i < config.schedules.size(); ++i) {
        const auto& schedule = config.schedules[i];
        const auto* origin = origins.schedules.at(i);
        check_time(schedule, origin, report);
        if (!is_sound(origin, "queue")) continue;
        if (schedule.queue.empty())
            report.refuse(origin->place, fmt::format("{} has no queue for its jobs", origin->text()));
        else if (const auto* queue = queue_of(config, schedule))
            check_body(schedule, *queue, origin, report);
        else
            report.refuse(
                place_of(origin, "queue"),
                fmt::format("queue: there is no [queue {}]{}", schedule.queue, hint(schedule.queue, names)));
    }
    if (config.schedules.size() > schedules_max)
        report.refuse(origins.schedules.back()->place,
                      fmt::format("there are {} schedules, and there may be {}", config.schedules.size(),
                                  schedules_max));
}

void check_schedules_here(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.schedules.size(); ++i) {
        const auto& schedule = config.schedules[i];
        const auto place = place_of(origins.schedules.at(i), "body_file");
        const auto* queue = queue_of(config, schedule);
        if (schedule.body_file.empty() || queue == nullptr) continue;
        struct stat found {};
        if (::stat(schedule.body_file.c_str(), &found) != 0 || !S_ISREG(found.st_mode))
            report.refuse(place, fmt::format("body_file: there is no file {}", schedule.body_file));
        else if (static_cast<std::uint64_t>(found.st_size) > queue->job_size_max)
            report.refuse(
                place,
                fmt::format("body_file: {} has {} bytes, and a job of [queue {}] may have {}",
                            schedule.body_file, found.st_size, queue->name, print_size(queue->job_size_max)));
    }
}

void advise_schedules(const Config& config, const Origins& origins, Report& report) {
    for (std::size_t i = 0; i < config.schedules.size(); ++i) {
        const auto& schedule = config.schedules[i];
        const auto* origin = origins.schedules.at(i);
        if (schedule.every.count() > 0 && schedule.timezone != "UTC")
            report.advise(place_of(origin, "timezone"), "timezone: means nothing to every");
        const auto* queue = queue_of(config, schedule);
        if (queue != nullptr && !schedule.key.empty() && queue->key_concurrency == 0)
            report.advise(place_of(origin, "key"),
                          fmt::format("key: means nothing, [queue {}] has no key_concurrency", queue->name));
    }
}

}  // namespace conf
