#include "worker/handler/health.h"

#include <fmt/format.h>

#include "worker/handler/job_request.h"
#include "worker/handler/own_text.h"

namespace worker::handler {

void Health::handle(http::Exchange& exchange) {
    const bool good = kind_ == conf::Health::live || ready_;
    http::Response& response = exchange.response;
    response.status = good ? 200 : 503;
    response.fields = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n";
    const auto since = jobs_ == nullptr || kind_ == conf::Health::live ? 0 : jobs_->unable_since_ms.get();
    if (!good)
        response.add_lasting("draining\n");
    else if (since == 0)
        response.add_lasting(kind_ == conf::Health::live ? "live\n" : "ready\n");
    else
        add_own_text(response, fmt::format("degraded\njobs cannot be stored since {}: {}\n",
                                           print_moment(static_cast<jobs::UnixMs>(since)),
                                           public_reason(jobs_->unable_why.get())));
    exchange.finish();
}

}  // namespace worker::handler
