#include "worker/jobs/callback.h"

#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "worker/jobs/job_json.h"
#include "worker/jobs/signature.h"

namespace worker::jobs {

NewJob callback_job(const View& job, std::string id) {
    NewJob told;
    told.id = std::move(id);
    told.queue = conf::callbacks_queue_of(job.queue);
    told.content_type = "application/json";
    told.body = job_json(job, {}).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    told.key = job.id;
    told.callback = job.callback;
    return told;
}

bool is_told(std::string_view queue, std::string_view callback) noexcept {
    return !callback.empty() && !conf::is_callbacks_queue(queue);
}

bool append_callback_head(std::string& out, const Claimed& job, const conf::QueueCallbacks& callbacks,
                          const conf::CallbackUrl& told, UnixMs now) {
    const auto signature = signature_of(callbacks.secret, now / 1000, job.body);
    if (!signature) return false;
    // Of what is stored, only what was looked at stands here: ids are ours, the URL is parsed.
    fmt::format_to(std::back_inserter(out),
                   "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: reeve/" REEVE_VERSION
                   "\r\nContent-Type: application/json\r\nContent-Length: {}\r\nIdempotency-Key: \"{}\"\r\n"
                   "Reeve-Attempt: {}\r\nReeve-Signature: {}\r\n\r\n",
                   told.target, told.authority, job.body.size(), job.id, job.attempt, *signature);
    return true;
}

}  // namespace worker::jobs
