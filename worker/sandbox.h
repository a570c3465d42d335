// worker/sandbox.h: which system calls a worker may use.
#pragma once

#include "ipc/result.h"

namespace worker {

/// From now on this thread, and all that it starts, may only use what serving needs. Anything else raises
/// SIGSYS, which ends the process; the crash note names the call. Needs no_new_privs. `connects`: serving
/// means connecting to upstreams too; `asks_names`: and asking name servers; `unlinks`: files are taken away;
/// `stores`: files are kept as a database does it; `asks_database`: one is asked by its own library, which
/// resolves names by the C library, and makes sockets in its own way.
[[nodiscard]] ipc::Result<void> enter_sandbox(bool connects = false, bool asks_names = false,
                                              bool unlinks = false, bool stores = false,
                                              bool asks_database = false);

}  // namespace worker
