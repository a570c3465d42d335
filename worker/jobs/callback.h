// worker/jobs/callback.h: telling somebody of the end of a job, which is a job too.
#pragma once

#include <string>
#include <string_view>

#include "conf/callbacks.h"
#include "conf/queue.h"
#include "worker/jobs/job.h"

namespace worker::jobs {

/// What follows from the end of `job`, whose callback is not empty: a job of its queue's queue of callbacks.
/// Its body is the job as JSON, its key the job's id, its callback where it goes. Whoever stores the end
/// stores this with it, or neither. `id`: of the new one. It has no bound of attempts: that is its queue's
/// when it runs.
[[nodiscard]] NewJob callback_job(const View& job, std::string id);

/// Whether the end of a job is to be told: one that tells itself is not told of, so there is no end of ends.
[[nodiscard]] bool is_told(std::string_view queue, std::string_view callback) noexcept;

/// The head of the POST that tells it, up to its empty line, signed as of `now`. `told`: who. False: it
/// cannot be signed, and nothing is appended.
[[nodiscard]] bool append_callback_head(std::string& out, const Claimed& job,
                                        const conf::QueueCallbacks& callbacks, const conf::CallbackUrl& told,
                                        UnixMs now);

}  // namespace worker::jobs
