// worker/keeper.h: the process that keeps jobs and runs them, from its seat to its exit.
#pragma once

#include "conf/config.h"
#include "ipc/seat.h"

namespace worker {

/// Keeps jobs until told to leave; returns the exit status. The seat has neither listeners nor access logs,
/// but vitals, a row of the scoreboard and the keepers' socket. Drops privileges itself. Says READY when it
/// has the store, or another keeper has it, which will let it go; Failed when it cannot have it, and its
/// generation has not served yet. Later it tries again.
int keep(const conf::Config& config, ipc::Seat seat);

}  // namespace worker
