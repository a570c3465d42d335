#include "worker/command/jobs_command.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "conf/callbacks.h"
#include "conf/units.h"
#include "worker/command/body_file.h"
#include "worker/command/job_tables.h"
#include "worker/command/result_text.h"
#include "worker/command/terminal_text.h"
#include "worker/handler/job_json.h"
#include "worker/handler/job_request.h"
#include "worker/handler/schedule_json.h"
#include "worker/jobs/job_ids.h"
#include "worker/jobs/schedules.h"
#include "worker/jobs/timetable.h"
#include "worker/jobs/unix_clock.h"

namespace worker::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::hours age_max{24 * 3650};

/// ASCII alone, so that nothing of it means anything to a terminal.
std::string json_text(const Json& json) {
    return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

Outcome done(std::string output) { return {.status = 0, .output = std::move(output), .errors = {}}; }
Outcome failed(std::string_view why) {
    return {.status = 1, .output = {}, .errors = "reeve: " + terminal_text(why) + "\n"};
}

std::vector<jobs::State> states_named(const std::vector<std::string>& names) {
    std::vector<jobs::State> states;
    states.reserve(names.size());
    for (const auto& name : names) {
        if (name == "all") return {};
        if (const auto state = handler::state_named(name)) states.push_back(*state);
    }
    return states;
}

/// One command; its answers are values, its failures texts for who asked.
class JobsCommand {
 public:
    JobsCommand(const JobsAsked& asked, const conf::Config& config, JobsTalk& talk, bool terminal)
        : asked_(asked), config_(config), talk_(talk), terminal_(terminal) {}

    Outcome run() {
        switch (asked_.what) {
            case JobsAsked::What::none: return {};
            case JobsAsked::What::list: return list();
            case JobsAsked::What::show: return show();
            case JobsAsked::What::add: return add();
            case JobsAsked::What::retry:
                return for_each_id([this](const std::string& id) { return retry(id); });
            case JobsAsked::What::cancel:
                return for_each_id([this](const std::string& id) { return cancel(id); });
            case JobsAsked::What::pause: return pause(true);
            case JobsAsked::What::resume: return pause(false);
            case JobsAsked::What::purge: return purge();
            case JobsAsked::What::stats: return stats();
            case JobsAsked::What::schedules: return schedules();
        }
        return {};
    }

 private:
    /// What became of one of several.
    struct Told {
        bool done = false;
        std::string text;  ///< the state it is in now; or why not
    };

    template <class One>
    ipc::Result<One> ask(One question) {
        auto heard = talk_.ask(std::move(question));
        if (!heard) return tl::make_unexpected(std::move(heard.error()));
        return std::get<One>(std::move(*heard));
    }

    Outcome list();
    Outcome show();
    Outcome add();
    Outcome for_each_id(const std::function<ipc::Result<Told>(const std::string&)>& change);
    ipc::Result<Told> retry(const std::string& id);
    ipc::Result<Told> cancel(const std::string& id);
    Outcome pause(bool paused);
    Outcome purge();
    Outcome stats();
    Outcome schedules();

    [[nodiscard]] const conf::Queue* configured(std::string_view name) const;
    [[nodiscard]] ipc::Result<std::vector<jobs::Stats::Queue>> queues();
    [[nodiscard]] ipc::Result<void> know_queue();
    [[nodiscard]] ipc::Result<jobs::Enqueue> new_job(const conf::Queue& queue) const;

    const JobsAsked& asked_;
    const conf::Config& config_;
    JobsTalk& talk_;
    bool terminal_;
};

// ---- what there is ----------------------------------------------------------------------------------------

Outcome JobsCommand::list() {
    jobs::List list;
    list.queue = asked_.queue;
    list.states = states_named(asked_.states);
    list.after = asked_.after;
    list.limit = asked_.limit;
    const auto heard = ask(std::move(list));
    if (!heard) return failed(heard.error().text());
    const auto& found = heard->answer;
    if (asked_.json) {
        Json json{{"jobs", Json::array()}, {"next", found.next.empty() ? Json() : Json(found.next)}};
        for (const auto& job : found.jobs) json["jobs"].push_back(handler::job_json(job, {}));
        return done(json_text(json));
    }
    if (asked_.only_ids) {
        std::string ids;
        for (const auto& job : found.jobs) ids += terminal_text(job.id) + "\n";
        return done(std::move(ids));
    }
    auto text = jobs_table(found.jobs, jobs::unix_ms());
    if (!found.next.empty()) text += "more: --after " + terminal_text(found.next) + "\n";
    return done(std::move(text));
}

Outcome JobsCommand::show() {
    jobs::Get get;
    get.id = asked_.ids.front();
    get.with_result = asked_.result;
    auto heard = ask(jobs::Get(get));
    if (heard && asked_.result && !heard->answer.job.result && heard->answer.job.result_size > get.room) {
        get.room = heard->answer.job.result_size;  // it stays as it is: once more, with so much room
        heard = ask(std::move(get));
    }
    if (!heard) return failed(heard.error().text());
    if (!heard->answer.found) return failed("there is no such job, or not any more");
    const auto& job = heard->answer.job;
    if (asked_.json) {
        auto json = handler::job_json(job, {});
        if (job.result) add_result(json["result"], *job.result);
        return done(json_text(json));
    }
    if (!asked_.result) return done(job_text(job, jobs::unix_ms()));
    if (!job.result) return failed(fmt::format("it has no result: it is {}", handler::state_name(job.state)));
    return done(terminal_ ? result_on_terminal(*job.result) : *job.result);
}

/// Those that have had a job, and those that are configured.
ipc::Result<std::vector<jobs::Stats::Queue>> JobsCommand::queues() {
    auto heard = ask(jobs::Stats{});
    if (!heard) return tl::make_unexpected(std::move(heard.error()));
    auto found = std::move(heard->answer.queues);
    for (const auto& queue : config_.queues) {
        if (std::any_of(found.begin(), found.end(), [&](const auto& one) { return one.name == queue.name; }))
            continue;
        found.emplace_back();
        found.back().name = queue.name;
    }
    std::sort(found.begin(), found.end(),
              [](const auto& one, const auto& other) { return one.name < other.name; });
    return found;
}

Outcome JobsCommand::stats() {
    const auto found = queues();
    if (!found) return failed(found.error().text());
    const auto now = jobs::unix_ms();
    if (!asked_.json) return done(queues_table(*found, now));
    Json json{{"queues", Json::array()}};
    for (const auto& queue : *found)
        json["queues"].push_back(handler::queue_json(queue, configured(queue.name) != nullptr, now));
    return done(json_text(json));
}

/// The last run as the store has it, the next one by the clock of this machine.
Outcome JobsCommand::schedules() {
    const auto now = jobs::unix_ms();
    Json json{{"schedules", Json::array()}};
    std::vector<ScheduleLine> lines;
    lines.reserve(config_.schedules.size());
    for (const auto& schedule : config_.schedules) {
        jobs::LastFired last;
        last.schedule = jobs::run_name(schedule);
        const auto heard = ask(std::move(last));
        if (!heard) return failed(heard.error().text());
        const auto next = jobs::Timetable(schedule).next(now).value_or(0);
        lines.push_back({&schedule, heard->answer.due, next});
        json["schedules"].push_back(handler::schedule_json(schedule, heard->answer.due, next));
    }
    return done(asked_.json ? json_text(json) : schedules_table(lines, now));
}

// ---- one job ----------------------------------------------------------------------------------------------

const conf::Queue* JobsCommand::configured(std::string_view name) const {
    const auto found = std::find_if(config_.queues.begin(), config_.queues.end(),
                                    [&](const auto& queue) { return queue.name == name; });
    return found == config_.queues.end() ? nullptr : &*found;
}

ipc::Result<jobs::Enqueue> JobsCommand::new_job(const conf::Queue& queue) const {
    const auto& wanted = asked_.job;
    if (queue.idempotency_required && wanted.idempotency_key.empty())
        return ipc::failure("this queue wants an --idempotency-key");
    if (queue.internal) return ipc::failure("its jobs are made when others end, and by nobody else");
    if (!wanted.callback.empty()) {
        const auto url = conf::callback_url(queue.callbacks, wanted.callback);
        if (!url) return ipc::failure("--callback: " + url.error());
    }
    auto body = read_body(wanted.file, queue.job_size_max);
    if (!body) return tl::make_unexpected(std::move(body.error()));
    const auto now = jobs::unix_ms();
    jobs::Enqueue enqueue;
    auto& job = enqueue.job;
    jobs::JobIds ids;
    job.id = ids.next();
    job.queue = queue.name;
    job.content_type = wanted.type;
    job.body = std::move(*body);
    if (!wanted.delay.empty()) {
        const auto delay = conf::parse_time(wanted.delay, std::chrono::milliseconds(0), age_max);
        if (delay && delay->count() > 0) job.run_at = now + delay->count();
    } else if (!wanted.run_at.empty()) {
        const auto moment = handler::parse_moment(wanted.run_at);
        if (moment && *moment > now) job.run_at = *moment;
    }
    job.priority = wanted.priority.value_or(queue.priority);
    job.attempts = wanted.attempts.value_or(queue.attempts);
    job.key = wanted.key;
    job.unique = wanted.unique;
    job.callback = wanted.callback;
    if (!wanted.idempotency_key.empty()) {
        job.idempotency_key = wanted.idempotency_key;
        job.fingerprint = handler::fingerprint_of(job);
        job.idempotency_until = now + queue.idempotency.count();
    }
    enqueue.room = {queue.size_max.jobs, queue.size_max.bytes};
    return enqueue;
}

Outcome JobsCommand::add() {
    using What = jobs::Enqueue::Answer::What;
    const auto* queue = configured(asked_.queue);
    if (queue == nullptr) return failed("there is no queue " + asked_.queue);
    auto wanted = new_job(*queue);
    if (!wanted) return failed(wanted.error().text());
    const auto id = wanted->job.id;
    const auto heard = ask(std::move(*wanted));
    if (!heard) return failed("not known to be stored: " + heard.error().text());
    const auto& answer = heard->answer;
    switch (answer.what) {
        case What::created:
        case What::existing: break;
        case What::mismatch: return failed("this idempotency key came with another job before");
        case What::in_flight: return failed("the first job with this idempotency key is not stored yet");
        case What::full: return failed("the queue is full");
    }
    const auto& stored = answer.id.empty() ? id : answer.id;
    if (!asked_.json) return done(terminal_text(stored) + "\n");
    return done(json_text({{"id", stored},
                           {"queue", queue->name},
                           {"state", handler::state_name(answer.state)},
                           {"existing", answer.what == What::existing}}));
}

ipc::Result<JobsCommand::Told> JobsCommand::retry(const std::string& id) {
    using What = jobs::Retry::Answer::What;
    jobs::Retry retry;
    retry.id = id;
    const auto heard = ask(std::move(retry));
    if (!heard) return tl::make_unexpected(heard.error());
    switch (heard->answer.what) {
        case What::ready: return Told{true, "ready"};
        case What::not_over: return Told{false, "it is ready, or runs"};
        case What::done: return Told{false, "it is done"};
        case What::unique_taken: return Told{false, "another job with its unique text is not over"};
        case What::unknown: break;
    }
    return Told{false, "there is no such job, or not any more"};
}

ipc::Result<JobsCommand::Told> JobsCommand::cancel(const std::string& id) {
    using What = jobs::Cancel::Answer::What;
    jobs::Cancel cancel;
    cancel.id = id;
    const auto heard = ask(std::move(cancel));
    if (!heard) return tl::make_unexpected(heard.error());
    switch (heard->answer.what) {
        case What::cancelled: return Told{true, "cancelled"};
        case What::running: return Told{true, "cancelling"};
        case What::over: return Told{false, "it is over already"};
        case What::unknown: break;
    }
    return Told{false, "there is no such job, or not any more"};
}

/// Each is tried; what cannot be done is told, and the status says so. A keeper that does not answer is not
/// asked about the others.
Outcome JobsCommand::for_each_id(const std::function<ipc::Result<Told>(const std::string&)>& change) {
    Outcome outcome;
    Json json{{"jobs", Json::array()}};
    for (const auto& id : asked_.ids) {
        const auto told = change(id);
        const bool good = told && told->done;
        const auto text = told ? told->text : told.error().text();
        if (!good) {
            outcome.status = 1;
            outcome.errors += fmt::format("reeve: {}: {}\n", terminal_text(id), terminal_text(text));
        }
        if (!asked_.json && good) outcome.output += fmt::format("{}  {}\n", terminal_text(id), text);
        json["jobs"].push_back({{"id", id}, {good ? "state" : "error", text}});
        if (!told) break;
    }
    if (asked_.json) outcome.output = json_text(json);
    return outcome;
}

// ---- queues -----------------------------------------------------------------------------------------------

/// One that left the configuration may have jobs yet.
ipc::Result<void> JobsCommand::know_queue() {
    if (configured(asked_.queue) != nullptr) return {};
    const auto all = queues();
    if (!all) return tl::make_unexpected(all.error());
    for (const auto& queue : *all)
        if (queue.name == asked_.queue) return {};
    return ipc::failure("there is no queue " + asked_.queue);
}

Outcome JobsCommand::pause(bool paused) {
    if (const auto known = know_queue(); !known) return failed(known.error().text());
    jobs::Pause pause;
    pause.queue = asked_.queue;
    pause.paused = paused;
    const auto heard = ask(std::move(pause));
    if (!heard) return failed(heard.error().text());
    if (asked_.json) return done(json_text({{"queue", asked_.queue}, {"paused", paused}}));
    return done(fmt::format("{}  {}\n", terminal_text(asked_.queue), paused ? "paused" : "open"));
}

/// A thousand at a time, so that nobody else waits for it.
Outcome JobsCommand::purge() {
    if (const auto known = know_queue(); !known) return failed(known.error().text());
    const auto now = jobs::unix_ms();
    jobs::Purge wanted;
    wanted.queue = asked_.queue;
    wanted.states = states_named(asked_.states);
    wanted.before = now + 1;  // what comes while we are at it stays
    if (const auto moment = handler::parse_moment(asked_.before); !asked_.before.empty() && moment)
        wanted.before = *moment;
    else if (const auto age = conf::parse_time(asked_.before, std::chrono::milliseconds(0), age_max);
             !asked_.before.empty() && age)
        wanted.before = now - age->count();
    std::uint64_t purged = 0;
    for (bool more = true; more;) {
        const auto heard = ask(wanted);
        if (!heard) {
            auto outcome = failed(heard.error().text());
            outcome.errors += fmt::format("reeve: {} are deleted\n", purged);
            return outcome;
        }
        purged += heard->answer.purged;
        more = heard->answer.more;
    }
    if (asked_.json) return done(json_text({{"queue", asked_.queue}, {"purged", purged}}));
    return done(fmt::format("{}  {} purged\n", terminal_text(asked_.queue), purged));
}

}  // namespace

Outcome run_jobs(const JobsAsked& asked, const conf::Config& config, JobsTalk& talk, bool terminal) {
    return JobsCommand(asked, config, talk, terminal).run();
}

}  // namespace worker::command
