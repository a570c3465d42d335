// master/master.h: the process that binds, forks and supervises, and never serves a byte itself.
#pragma once

#include <optional>

#include "master/daemon.h"
#include "master/handover.h"
#include "master/reading.h"
#include "master/service_manager.h"
#include "master/supervisor.h"
#include "master/title.h"
#include "master/upgrade.h"

namespace master {

/// What a master is started with.
struct Start {
    Found first;                             ///< the configuration to serve with
    ReadConfig read;                         ///< how to read it again
    WorkerMain worker;                       ///< what each worker does, in its own process
    WorkerMain sentinel{};                   ///< what checks upstreams, likewise; none: nobody does
    WorkerMain keeper{};                     ///< what keeps jobs, likewise; none: nobody does
    PoolMain pool{};                         ///< what members of pools do that are no programs
    PreloadMain preload{};                   ///< how what workers share is loaded; none: it never is
    Program program;                         ///< what an upgrade starts
    std::optional<Inheritance> inheritance;  ///< from the master before us
    Listeners activated{};                   ///< sockets from a service manager
    ServiceEnvironment service{};
};

/// Serves until told to leave by a signal or a control command. Returns the exit status; the outcome of the
/// start goes to `report`.
[[nodiscard]] int run(Start start, ProcessTitle& title, StartReport& report);

}  // namespace master
