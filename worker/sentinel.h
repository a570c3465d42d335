// worker/sentinel.h: the process that checks the peers of upstreams, from its seat to its exit.
#pragma once

#include "conf/config.h"
#include "ipc/seat.h"

namespace worker {

/// Checks until told to leave; returns the exit status. The seat has neither listeners nor access logs nor a
/// cell, but vitals and a term. Drops privileges itself; says READY on the seat's channel once it checks,
/// Failed when it cannot. Of what it finds, the scoreboard is told; nobody waits for it.
int watch(const conf::Config& config, ipc::Seat seat);

}  // namespace worker
