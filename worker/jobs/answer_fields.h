// worker/jobs/answer_fields.h: what is kept of the header of an answer to a request that is a job.
#pragma once

#include <string>
#include <string_view>

#include "worker/http/head.h"

namespace worker::jobs {

/// Lines. Not what concerns one connection alone, framing, Date and Server, the content's type, which is the
/// result's; not what lets somebody in (Set-Cookie, Authentication-Info), as others may look at the job; not
/// what is for us (X-Accel-..., X-Sendfile); not `hidden`, names with commas between. What does not fit into
/// `result_fields_max` is left out.
[[nodiscard]] std::string answer_fields(const http::Head& head, std::string_view hidden);

}  // namespace worker::jobs
