// worker/upstream/pool_members.h: the members of a pool of processes, as an upstream.
#pragma once

#include <cstdint>

#include "conf/config.h"
#include "ipc/pool_table.h"
#include "worker/upstream/upstream.h"

namespace worker::upstream {

/// Each a peer, in order. `index`: the pool's place in `table`.
[[nodiscard]] conf::Upstream members_of(const conf::Pool& pool, const ipc::PoolTable& table,
                                        std::uint32_t index);
/// Names them in logs.
void name_members(Upstream& members, const conf::Pool& pool);
/// As given, but that a task has a time limit of its own, kept by who asks, and nobody else is asked.
[[nodiscard]] conf::Proxy task_terms(const conf::Proxy& terms);

}  // namespace worker::upstream
