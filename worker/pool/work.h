// worker/pool/work.h: `run = work`: a member that does what a route's `work` says.
#pragma once

#include <cstdint>

#include "worker/pool/fastcgi_server.h"

namespace worker::pool {

/// By REEVE_WORK, and REEVE_WORK_QUERY where a query has a say; nothing without. The exit status, 1 for a
/// param that is no work.
[[nodiscard]] std::uint32_t work(FastcgiRequest& request);

}  // namespace worker::pool
