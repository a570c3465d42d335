#include "worker/handler/schedule_json.h"

#include <string_view>

#include "conf/units.h"
#include "worker/handler/job_request.h"

namespace worker::handler {
namespace {

std::string_view missed_name(conf::Schedule::Missed missed) noexcept {
    switch (missed) {
        case conf::Schedule::Missed::skip: return "skip";
        case conf::Schedule::Missed::once: return "once";
        case conf::Schedule::Missed::all: return "all";
    }
    return {};
}

}  // namespace

nlohmann::ordered_json schedule_json(const conf::Schedule& schedule, jobs::UnixMs last, jobs::UnixMs next) {
    using Json = nlohmann::ordered_json;
    const auto moment = [](jobs::UnixMs at) { return at == 0 ? Json() : Json(print_moment(at)); };
    Json json{{"name", schedule.name}};
    if (schedule.every.count() > 0) {
        json["every"] = conf::print_time(schedule.every);
    } else {
        json["cron"] = schedule.cron.text;
        json["timezone"] = schedule.timezone;
    }
    json["queue"] = schedule.queue;
    json["missed"] = missed_name(schedule.missed);
    json["last_run"] = moment(last);
    json["next_run"] = moment(next);
    return json;
}

}  // namespace worker::handler
