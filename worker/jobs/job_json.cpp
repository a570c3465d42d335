#include "worker/jobs/job_json.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace worker::jobs {
namespace {

using JobJson = nlohmann::ordered_json;

constexpr std::array<std::string_view, 6> state_names{"scheduled", "ready", "running",
                                                      "done",      "dead",  "cancelled"};
constexpr std::array<std::string_view, 8> ending_names{"done",      "failed",   "permanent", "crashed",
                                                       "timed_out", "released", "cancelled", "lost"};

/// Of lines; values of one name are one list (RFC 9110 5.3).
JobJson fields_json(std::string_view lines) {
    JobJson json = JobJson::object();
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

JobJson moment_json(UnixMs ms) { return ms == 0 ? JobJson() : JobJson(print_moment(ms)); }

}  // namespace

std::string_view state_name(State state) noexcept { return state_names.at(static_cast<std::size_t>(state)); }

std::optional<State> state_named(std::string_view name) noexcept {
    const auto found = std::find(state_names.begin(), state_names.end(), name);
    if (found == state_names.end()) return std::nullopt;
    return static_cast<State>(found - state_names.begin());
}

std::string_view ending_name(Ending ending) noexcept {
    return ending_names.at(static_cast<std::size_t>(ending));
}

std::string print_moment(UnixMs ms) {
    const std::chrono::sys_time<std::chrono::milliseconds> moment{std::chrono::milliseconds(ms)};
    const auto days = std::chrono::floor<std::chrono::days>(moment);
    const std::chrono::year_month_day date(days);
    const std::chrono::hh_mm_ss time(moment - days);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time.hours().count(), time.minutes().count(), time.seconds().count(),
                       time.subseconds().count());
}

nlohmann::ordered_json job_json(const View& job, std::string_view path) {
    JobJson json{{"id", job.id},
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
    if (job.state == State::done) {
        json["result"] = {{"type", job.result_type}, {"size", job.result_size}};
        if (!path.empty()) json["result"]["href"] = std::string(path) + job.id + "/result";
        if (job.result_cut) json["result"]["cut"] = true;
        if (job.result_status != 0) {
            json["result"]["status"] = job.result_status;
            json["result"]["fields"] = fields_json(job.result_fields);
        }
    }
    if (!job.history.empty()) {
        json["history"] = JobJson::array();
        for (const auto& attempt : job.history) {
            JobJson one{{"attempt", attempt.number},
                        {"started", moment_json(attempt.started)},
                        {"ended", moment_json(attempt.ended)},
                        {"ending", ending_name(attempt.ending)}};
            if (!attempt.error.empty()) one["error"] = attempt.error;
            json["history"].push_back(std::move(one));
        }
    }
    return json;
}

}  // namespace worker::jobs
