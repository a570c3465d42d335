// master/master.h: the process that binds, forks and supervises, and never serves a byte itself.
#pragma once

#include "conf/config.h"
#include "master/daemon.h"
#include "master/supervisor.h"
#include "master/title.h"

namespace master {

/// Serves with `config` until told to leave by a signal or a control command. Returns the exit status;
/// the outcome of the start goes to `report`. `run` is what each worker does, in its own process.
[[nodiscard]] int run(const conf::Config& config, ProcessTitle& title, const WorkerMain& run,
                      StartReport& report);

}  // namespace master
