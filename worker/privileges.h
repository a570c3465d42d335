// worker/privileges.h: what a worker gives up before it serves.
#pragma once

#include <string>

#include "ipc/result.h"

namespace worker {

/// As root: becomes `user` (empty: www-data) with that user's groups and no capability. Always: no new
/// privileges by exec, and SIGQUIT (drain) when the master dies, which must come after the change of user.
/// Fails when the user does not exist, or when the master is gone already.
[[nodiscard]] ipc::Result<void> drop_privileges(const std::string& user, int master_pid);

}  // namespace worker
