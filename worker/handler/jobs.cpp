#include "worker/handler/jobs.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "conf/units.h"
#include "worker/handler/job_following.h"
#include "worker/handler/job_json.h"
#include "worker/handler/job_request.h"
#include "worker/handler/jobs_description.h"
#include "worker/handler/schedule_json.h"
#include "worker/http/host.h"
#include "worker/http/query.h"
#include "worker/jobs/job_ids.h"
#include "worker/jobs/unix_clock.h"

namespace worker::handler {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr std::uint64_t body_bytes_max = 64 * 1024, list_max = jobs::listed_max, list_usual = 50;
constexpr std::uint64_t result_room = 64 * 1024;  ///< a longer result is asked for by its size
constexpr milliseconds wait_max{60'000};          ///< of `wait=`; more is cut

bool comes_from_another_site(const http::Request& request) {
    return std::any_of(request.fields.begin(), request.fields.end(), [&](const auto& field) {
        return http::equals_ignore_case(request.view(field.name), "sec-fetch-site") &&
               request.view(field.value) == "cross-site";
    });
}

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// What an EventSource says (HTML 9.2.2). A list of others beside it is for those who take what they get.
bool wants_events(const http::Request& request) {
    return http::equals_ignore_case(request.value(http::Known::accept), event_stream);
}

/// The part up to a slash, and what follows that.
std::pair<std::string_view, std::string_view> split(std::string_view path) {
    const auto slash = path.find('/');
    return {path.substr(0, slash), slash == path.npos ? std::string_view() : path.substr(slash + 1)};
}

/// Of the lines of an answer those that say what its bytes are.
std::string fields_of_content(std::string_view lines) {
    constexpr std::array<std::string_view, 3> of_content{"content-disposition", "content-encoding",
                                                         "content-language"};
    std::string kept;
    while (!lines.empty()) {
        const auto line = lines.substr(0, lines.find('\n') + 1);
        lines.remove_prefix(line.empty() ? lines.size() : line.size());
        const auto name = line.substr(0, line.find(':'));
        if (std::any_of(of_content.begin(), of_content.end(),
                        [&](std::string_view one) { return http::equals_ignore_case(name, one); }))
            kept.append(line);
    }
    return kept;
}

/// `state=ready,running`; none: one of them is no state.
std::optional<std::vector<jobs::State>> states_of(std::string_view text) {
    std::vector<jobs::State> states;
    while (!text.empty()) {
        const auto comma = text.find(',');
        const auto state = state_named(text.substr(0, comma));
        if (!state) return std::nullopt;
        states.push_back(*state);
        text.remove_prefix(std::min(text.size(), comma == text.npos ? text.size() : comma + 1));
    }
    return states;
}

}  // namespace

JobsRoute::JobsRoute(const conf::Config& config, const conf::Route& route, jobs::BodyRoom& room,
                     jobs::Keeping& keeping, jobs::Watching& watching, execution::Loop& loop,
                     const ipc::Scoreboard& board)
    : KeeperRoute(route, body_bytes_max, room, keeping, loop),
      config_(config),
      watching_(watching),
      board_(board),
      path_(jobs_path_of(route)) {}

void JobsRoute::begin(Visit& visit) {
    const auto& request = visit.exchange().request;
    std::string_view rest = request.target.path;
    rest.remove_prefix(std::min(rest.size(), route().path.text.size()));
    while (rest.starts_with('/')) rest.remove_prefix(1);
    if (request.is_get() || request.is_head()) return get(visit, rest);
    // A page of somebody else's, in the browser of whoever may use this (Fetch Metadata, 2.3).
    if (comes_from_another_site(request)) return refuse(visit, 403, "not from a page of another site");
    if (request.method() == "POST") return post(visit, rest);
    if (request.method() == "DELETE" && jobs::is_job_id(rest)) return cancel(visit, rest);
    visit.exchange().response.add_field("Allow", "GET, HEAD, POST, DELETE");
    refuse(visit, 405, "that cannot be done here");
}

void JobsRoute::get(Visit& visit, std::string_view rest) {
    if (rest.empty()) return list(visit);
    if (rest == "stats") return stats(visit);
    if (rest == "schedules") return schedules(visit);
    if (rest == "openapi.json")
        return answer(visit, 200, "application/json", jobs_description(path_, !route().jobs.token.empty()));
    const auto [id, part] = split(rest);
    if (!jobs::is_job_id(id)) return refuse(visit, 404, "there is no such thing");
    if (part.empty()) return show(visit, id);
    if (part == "result") {
        visit.name = id;
        return result(visit, result_room);
    }
    if (part == "events") return follow(visit, id);
    refuse(visit, 404, "of a job there is `result` and `events`");
}

void JobsRoute::post(Visit& visit, std::string_view rest) {
    const auto [first, part] = split(rest);
    if (first == "queues") return change_queue(visit, part);
    if (jobs::is_job_id(first) && part == "retry") return retry(visit, first);
    refuse(visit, 404, "there is no such thing");
}

// ---- one of them ------------------------------------------------------------------------------------------

void JobsRoute::show(Visit& visit, std::string_view id) {
    const http::Query query(visit.exchange().request.target.query);
    milliseconds wait(0);
    if (const auto asked = query.value("wait")) {
        const auto time = conf::parse_time(*asked, milliseconds(0), std::chrono::hours(24));
        if (!time) return refuse(visit, 400, "wait takes a time: seconds, or with ms, s, m");
        wait = std::min(*time, wait_max);
    } else if (wants_events(visit.exchange().request)) {
        return follow(visit, id);
    }
    visit.name = id;
    Following::wait(*this, visit, wait);
}

void JobsRoute::follow(Visit& visit, std::string_view id) {
    visit.name = id;
    if (visit.exchange().request.is_head()) return answer(visit, 200, event_stream, std::string());
    Following::stream(*this, visit);
}

/// The result of a job that is done stays as it is: with its size known, it is asked for once more.
void JobsRoute::result(Visit& visit, std::uint64_t room) {
    jobs::Get get;
    get.id = visit.name;
    get.with_result = true;
    get.room = room;
    ask(visit, std::move(get), [this, room](Visit& its, jobs::Operation&& over) {
        auto& found = std::get<jobs::Get>(over).answer;
        if (!found.found) return refuse(its, 404, "there is no such job, or not any more");
        auto& job = found.job;
        if (job.state == jobs::State::done && !job.result && job.result_size > room)
            return result(its, job.result_size);
        if (job.state != jobs::State::done || !job.result) {
            if (!jobs::is_over(job.state)) its.exchange().response.add_field("Retry-After", "1");
            return refuse(its, 404, fmt::format("it has no result: it is {}", state_name(job.state)));
        }
        auto& response = its.exchange().response;
        response.add_field("X-Content-Type-Options", "nosniff");
        if (job.result_cut) response.add_field("Job-Result-Cut", "true");
        if (job.result_status != 0) {
            response.add_field("Job-Result-Status", std::to_string(job.result_status));
            response.more_fields.append(fields_of_content(job.result_fields));
        }
        const std::string type =
            job.result_type.empty() ? "application/octet-stream" : std::move(job.result_type);
        answer(its, 200, type, std::move(*job.result));
    });
}

void JobsRoute::cancel(Visit& visit, std::string_view id) {
    jobs::Cancel cancel;
    cancel.id = id;
    ask(visit, std::move(cancel), [this](Visit& its, jobs::Operation&& over) {
        using What = jobs::Cancel::Answer::What;
        const auto& cancelled = std::get<jobs::Cancel>(over);
        switch (cancelled.answer.what) {
            case What::cancelled:
                return answer(its, 200, text_of({{"id", cancelled.id}, {"state", "cancelled"}}));
            case What::running:
                its.exchange().response.add_field("Retry-After", "1");
                return answer(its, 202,
                              text_of({{"id", cancelled.id}, {"state", "running"}, {"cancelling", true}}));
            case What::over: return refuse(its, 409, "it is over already");
            case What::unknown: return refuse(its, 404, "there is no such job, or not any more");
        }
    });
}

void JobsRoute::retry(Visit& visit, std::string_view id) {
    jobs::Retry retry;
    retry.id = id;
    ask(visit, std::move(retry), [this](Visit& its, jobs::Operation&& over) {
        using What = jobs::Retry::Answer::What;
        const auto& retried = std::get<jobs::Retry>(over);
        switch (retried.answer.what) {
            case What::ready: return answer(its, 202, text_of({{"id", retried.id}, {"state", "ready"}}));
            case What::not_over: return refuse(its, 409, "it is ready, or runs");
            case What::done: return refuse(its, 409, "it is done");
            case What::unique_taken: return refuse(its, 409, "another job with its Job-Unique is not over");
            case What::unknown: return refuse(its, 404, "there is no such job, or not any more");
        }
    });
}

// ---- many -------------------------------------------------------------------------------------------------

void JobsRoute::list(Visit& visit) {
    const http::Query query(visit.exchange().request.target.query);
    jobs::List list;
    list.queue = query.value("queue").value_or("");
    list.after = query.value("after").value_or("");
    const auto states = states_of(query.value("state").value_or(""));
    if (!states) return refuse(visit, 400, "state takes scheduled, ready, running, done, dead, cancelled");
    list.states = *states;
    const auto limit =
        conf::parse_number(query.value("limit").value_or(std::to_string(list_usual)), 1, list_max);
    if (!limit) return refuse(visit, 400, fmt::format("limit takes a number, 1 to {}", list_max));
    list.limit = static_cast<std::uint32_t>(*limit);
    ask(visit, std::move(list), [this](Visit& its, jobs::Operation&& over) {
        const auto& found = std::get<jobs::List>(over).answer;
        Json json{{"jobs", Json::array()}, {"next", found.next.empty() ? Json() : Json(found.next)}};
        for (const auto& job : found.jobs) json["jobs"].push_back(job_json(job, path_));
        answer(its, 200, text_of(json));
    });
}

void JobsRoute::stats(Visit& visit) {
    ask(visit, jobs::Stats{}, [this](Visit& its, jobs::Operation&& over) {
        Json json{{"queues", Json::array()}};
        for (const auto& queue : std::get<jobs::Stats>(over).answer.queues)
            json["queues"].push_back(queue_json(queue, is_configured(queue.name), jobs::unix_ms()));
        answer(its, 200, text_of(json));
    });
}

/// As the keeper has it on the scoreboard.
void JobsRoute::schedules(Visit& visit) {
    Json json{{"schedules", Json::array()}};
    for (const auto& schedule : config_.schedules) {
        const auto& cell = board_.job_schedule_cell(board_.job_schedule(schedule.name));
        auto one = schedule_json(schedule, static_cast<jobs::UnixMs>(cell.last_ms.get()),
                                 static_cast<jobs::UnixMs>(cell.next_ms.get()));
        one["runs"] = cell.runs.get();
        one["missed_runs"] = cell.missed.get();
        json["schedules"].push_back(std::move(one));
    }
    answer(visit, 200, text_of(json));
}

bool JobsRoute::is_configured(std::string_view queue) const noexcept {
    return std::any_of(config_.queues.begin(), config_.queues.end(),
                       [&](const auto& one) { return one.name == queue; });
}

/// Of a queue that is not configured any more there may be jobs, which can be purged.
void JobsRoute::change_queue(Visit& visit, std::string_view rest) {
    const auto parts = split(rest);
    const std::string_view name = parts.first, what = parts.second;
    if (what != "purge" && !is_configured(name)) return refuse(visit, 404, "there is no such queue");
    if (what == "pause" || what == "resume") {
        jobs::Pause pause;
        pause.queue = name;
        pause.paused = what == "pause";
        return ask(visit, std::move(pause), [this](Visit& its, jobs::Operation&& over) {
            const auto& paused = std::get<jobs::Pause>(over);
            answer(its, 200, text_of({{"queue", paused.queue}, {"paused", paused.paused}}));
        });
    }
    if (what != "purge") return refuse(visit, 404, "of a queue there is pause, resume and purge");
    const http::Query query(visit.exchange().request.target.query);
    const auto states = states_of(query.value("state").value_or(""));
    if (!states || std::find(states->begin(), states->end(), jobs::State::running) != states->end())
        return refuse(visit, 400, "state takes scheduled, ready, done, dead, cancelled");
    jobs::Purge wanted;
    wanted.queue = name;
    wanted.states = *states;
    if (const auto before = query.value("before")) {
        const auto moment = parse_moment(*before);
        if (!moment) return refuse(visit, 400, "before takes a moment: RFC 3339, or seconds since 1970");
        wanted.before = *moment;
    } else {
        wanted.before = jobs::unix_ms() + 1;  // what comes while we are at it stays
    }
    purge(visit, std::move(wanted), 0);
}

/// A thousand at a time, so that nobody else waits for it; a client that leaves stops it.
void JobsRoute::purge(Visit& visit, jobs::Purge purge, std::uint64_t before) {
    ask(visit, std::move(purge), [this, before](Visit& its, jobs::Operation&& over) {
        auto& purged = std::get<jobs::Purge>(over);
        const auto all = before + purged.answer.purged;
        if (all == 0 && !is_configured(purged.queue)) return refuse(its, 404, "there is no such queue");
        if (!purged.answer.more) return answer(its, 200, text_of({{"queue", purged.queue}, {"purged", all}}));
        jobs::Purge next;
        next.queue = std::move(purged.queue);
        next.states = std::move(purged.states);
        next.before = purged.before;
        this->purge(its, std::move(next), all);
    });
}

}  // namespace worker::handler
