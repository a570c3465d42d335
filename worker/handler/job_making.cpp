#include "worker/handler/job_making.h"

#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "conf/plan.h"
#include "worker/handler/job_json.h"
#include "worker/handler/job_request.h"
#include "worker/jobs/unix_clock.h"

namespace worker::handler {
namespace {

constexpr std::string_view look_again = "1";  ///< second after which a client may look what became of it
constexpr std::string_view full_again = "5";

}  // namespace

JobMaking::JobMaking(const conf::Config& config, const conf::Route& route, const conf::Queue& queue,
                     jobs::BodyRoom& room, jobs::Keeping& keeping, execution::Loop& loop)
    : KeeperRoute(route, queue.job_size_max, room, keeping, loop), queue_(queue) {
    if (const auto* api = conf::jobs_route(config, route)) jobs_path_ = jobs_path_of(*api);
}

void JobMaking::begin(Visit& visit) {
    const auto& request = visit.exchange().request;
    const auto now = jobs::unix_ms();
    auto job = read_job_fields(request, queue_, now);
    if (!job) return refuse(visit, 400, job.error());
    auto key = read_idempotency_key(request, queue_);
    if (!key) return refuse(visit, 400, key.error());
    job->id = ids_.next();
    job->queue = queue_.name;
    job->body = visit.take_body();
    job->request = request_of(visit, job->id);
    if (!key->empty()) {
        job->idempotency_key = std::move(*key);
        job->fingerprint = job->request.empty() ? fingerprint_of(*job) : fingerprint_of(*job, request);
        job->idempotency_until = now + queue_.idempotency.count();
    }
    visit.name = job->id;
    jobs::Enqueue enqueue;
    enqueue.job = std::move(*job);
    enqueue.room = {queue_.size_max.jobs, queue_.size_max.bytes};
    ask(visit, std::move(enqueue),
        [this](Visit& its, jobs::Operation&& over) { on_stored(its, std::get<jobs::Enqueue>(over)); });
}

void JobMaking::on_stored(Visit& visit, const jobs::Enqueue& enqueue) {
    using What = jobs::Enqueue::Answer::What;
    switch (enqueue.answer.what) {
        case What::created:
        case What::existing:
            if (!enqueue.answer.id.empty()) visit.name = enqueue.answer.id;
            return on_made(visit, enqueue.answer.state,
                           visit.name == enqueue.job.id || enqueue.job.unique.empty());
        case What::mismatch:
            return refuse(visit, 422, "this Idempotency-Key came with another request before");
        case What::in_flight:
            return refuse(visit, 409, "the first request with this Idempotency-Key is not over yet");
        case What::full:
            visit.exchange().response.add_field("Retry-After", full_again);
            return refuse(visit, 503, "the queue is full");
    }
}

void JobMaking::accept(Visit& visit, jobs::State state) {
    auto& response = visit.exchange().response;
    nlohmann::ordered_json json{{"id", visit.name}, {"queue", queue_.name}, {"state", state_name(state)}};
    if (const auto place = place_of(visit.name); !place.empty()) {
        response.add_field("Location", place);
        json["href"] = place;
    }
    response.add_field("Retry-After", look_again);
    answer(visit, 202, json.dump());
}

std::string JobMaking::place_of(std::string_view id) const {
    return jobs_path_.empty() ? std::string() : jobs_path_ + std::string(id);
}

}  // namespace worker::handler
