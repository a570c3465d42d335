// worker/pool/threaded_member.h: a process of a pool that does several jobs at once, each in a thread.
#pragma once

#include <cstdint>
#include <string>

#include "ipc/unique_fd.h"
#include "worker/module/loader.h"

namespace worker::pool {

/// Serves with so many threads until `leave` becomes readable, and returns when all of them are done: code
/// that never returns holds it up, and whoever wants it gone kills the process. `pool`: its name, for notes
/// of crashes. False: the socket is no good.
[[nodiscard]] bool serve_in_threads(const module::Module& module, ipc::UniqueFd listener, int leave,
                                    std::uint32_t threads, const std::string& pool);

}  // namespace worker::pool
