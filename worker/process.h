// worker/process.h: one worker process, from its seat to its exit.
#pragma once

#include "ipc/seat.h"
#include "worker/loaded.h"

namespace worker {

/// Serves until told to leave; returns the exit status. Takes over signals' default actions, drops privileges
/// itself. Says READY on the seat's channel once it can serve, Failed when it cannot. `loaded` outlives it.
int run(const Loaded& loaded, ipc::Seat seat);

}  // namespace worker
