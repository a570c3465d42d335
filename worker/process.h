// worker/process.h: one worker process, from its seat to its exit.
#pragma once

#include "conf/config.h"
#include "ipc/seat.h"

namespace worker {

/// Serves until told to leave; returns the exit status. Takes over signals' default actions, drops privileges
/// itself. Says READY on the seat's channel once it can serve, Failed when it cannot.
int run(const conf::Config& config, ipc::Seat seat);

}  // namespace worker
