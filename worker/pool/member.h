// worker/pool/member.h: a process of a pool that serves FastCGI by our own code, from its seat to its exit.
#pragma once

#include "conf/config.h"
#include "ipc/seat.h"

namespace worker::pool {

/// Serves until TERM; returns the exit status. User, folder and limits are the launcher's business. What goes
/// wrong is said on the standard error.
int serve(const conf::Config& config, ipc::PoolSeat seat);

}  // namespace worker::pool
