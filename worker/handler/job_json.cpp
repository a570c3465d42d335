#include "worker/handler/job_json.h"

#include <algorithm>

namespace worker::handler {
namespace {

using Json = nlohmann::ordered_json;

Json moment_json(jobs::UnixMs ms) { return ms == 0 ? Json() : Json(print_moment(ms)); }

}  // namespace

std::string jobs_path_of(const conf::Route& route) {
    std::string path = route.path.text;
    if (!path.ends_with('/')) path += '/';
    return path;
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
