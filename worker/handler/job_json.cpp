#include "worker/handler/job_json.h"

#include <algorithm>
#include <array>

#include "worker/handler/job_request.h"

namespace worker::handler {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 6> states{"scheduled", "ready", "running",
                                                 "done",      "dead",  "cancelled"};
constexpr std::array<std::string_view, 8> endings{"done",      "failed",   "permanent", "crashed",
                                                  "timed_out", "released", "cancelled", "lost"};

/// Of lines; values of one name are one list (RFC 9110 5.3).
Json fields_json(std::string_view lines) {
    Json json = Json::object();
    while (!lines.empty()) {
        auto line = lines.substr(0, lines.find("\r\n"));
        lines.remove_prefix(std::min(lines.size(), line.size() + 2));
        const auto colon = line.find(": ");
        if (colon == line.npos) continue;
        const std::string name(line.substr(0, colon)), value(line.substr(colon + 2));
        if (json.contains(name))
            json[name] = json[name].get<std::string>() + ", " + value;
        else
            json[name] = value;
    }
    return json;
}

Json moment_json(jobs::UnixMs ms) { return ms == 0 ? Json() : Json(print_moment(ms)); }

}  // namespace

std::string_view state_name(jobs::State state) noexcept { return states.at(static_cast<std::size_t>(state)); }

std::optional<jobs::State> state_named(std::string_view name) noexcept {
    const auto found = std::find(states.begin(), states.end(), name);
    if (found == states.end()) return std::nullopt;
    return static_cast<jobs::State>(found - states.begin());
}

std::string_view ending_name(jobs::Ending ending) noexcept {
    return endings.at(static_cast<std::size_t>(ending));
}

std::string jobs_path_of(const conf::Route& route) {
    std::string path = route.path.text;
    if (!path.ends_with('/')) path += '/';
    return path;
}

Json job_json(const jobs::View& job, std::string_view path) {
    Json json{{"id", job.id},
              {"queue", job.queue},
              {"state", state_name(job.state)},
              {"priority", job.priority},
              {"attempts", job.attempts_made},
              {"attempts_max", job.attempts},
              {"crashes", job.crashes},
              {"created", moment_json(job.created)},
              {"run_at", moment_json(job.run_at)},
              {"started", moment_json(job.started)},
              {"ended", moment_json(job.ended)},
              {"size", job.body_size}};
    if (!job.key.empty()) json["key"] = job.key;
    if (!job.callback.empty()) json["callback"] = job.callback;
    if (!job.reason.empty()) json["reason"] = job.reason;
    if (!job.progress.empty()) json["progress"] = job.progress;
    if (job.cancelling) json["cancelling"] = true;
    if (job.state == jobs::State::done) {
        json["result"] = {{"type", job.result_type}, {"size", job.result_size}};
        if (!path.empty()) json["result"]["href"] = std::string(path) + job.id + "/result";
        if (job.result_cut) json["result"]["cut"] = true;
        if (job.result_status != 0) {
            json["result"]["status"] = job.result_status;
            json["result"]["fields"] = fields_json(job.result_fields);
        }
    }
    if (!job.history.empty()) {
        json["history"] = Json::array();
        for (const auto& attempt : job.history) {
            Json one{{"attempt", attempt.number},
                     {"started", moment_json(attempt.started)},
                     {"ended", moment_json(attempt.ended)},
                     {"ending", ending_name(attempt.ending)}};
            if (!attempt.error.empty()) one["error"] = attempt.error;
            json["history"].push_back(std::move(one));
        }
    }
    return json;
}

Json queue_json(const jobs::Stats::Queue& queue, bool configured, jobs::UnixMs now) {
    const auto age = queue.oldest_ready == 0 ? 0 : std::max<jobs::UnixMs>(now - queue.oldest_ready, 0);
    return {{"name", queue.name},
            {"configured", configured},
            {"paused", queue.paused},
            {"scheduled", queue.scheduled},
            {"ready", queue.ready},
            {"running", queue.running},
            {"done", queue.done},
            {"dead", queue.dead},
            {"cancelled", queue.cancelled},
            {"bytes", queue.bytes},
            {"oldest_ready_seconds", static_cast<double>(age) / 1000},
            {"next_scheduled", moment_json(queue.next_scheduled)}};
}

}  // namespace worker::handler
