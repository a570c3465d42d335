// worker/handler/file_response.h: answers with a file: preconditions, ranges, whole (RFC 9110 13 and 14).
#pragma once

#include <vector>

#include "conf/config.h"
#include "worker/execution/clock.h"
#include "worker/handler/range.h"
#include "worker/handler/resource.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// One loop's; keeps only scratch memory between requests.
class FileResponse {
 public:
    /// `files` and `clock` must outlive it.
    FileResponse(const conf::Files& files, const execution::Clock& clock) : files_(files), clock_(clock) {}

    /// Fills the response and finishes. `resource` is of kind file.
    void answer(http::Exchange& exchange, const Resource& resource);

 private:
    [[nodiscard]] bool refused_by_conditions(http::Exchange& exchange, const Representation& found);
    [[nodiscard]] bool answered_by_ranges(http::Exchange& exchange, const Representation& found);
    void answer_parts(http::Response& response, const Representation& found);
    void add_expires(http::Response& response) const;

    const conf::Files& files_;
    const execution::Clock& clock_;
    std::vector<ByteRange> ranges_;
    std::uint64_t next_boundary_ = 0;
};

}  // namespace worker::handler
