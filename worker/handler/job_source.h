// worker/handler/job_source.h: a handler whose requests may wait, and be asked by somebody else.
#pragma once

#include <optional>

#include "worker/http/exchange.h"
#include "worker/jobs/stored_request.h"

namespace worker::handler {

class JobSource {
 public:
    virtual ~JobSource() = default;
    /// As it would go now, but for its body; nullopt: it would go nowhere, and is answered by us.
    [[nodiscard]] virtual std::optional<jobs::StoredRequest> as_job(const http::Exchange& exchange) = 0;
};

}  // namespace worker::handler
