// ipc/member_vitals.h: what the master watches of a process of a pool that runs a module.
#pragma once

#include "ipc/crash_note.h"
#include "ipc/in_flight.h"

namespace ipc {

/// In memory that only master and process share. The process is not trusted with more than its own texts.
struct MemberVitals {
    CrashNote crash;
    InFlight in_flight;
    ModuleNames modules;
};

}  // namespace ipc
