// master/control_client.h: the other end of the control socket, for `reeve -s` and `reeve status`.
#pragma once

#include <string>

#include "ipc/result.h"

namespace master {

/// Sends `command` to the master at `path` and waits for the outcome: for `stop` and `quit` until the master
/// is gone. Returns the payload; a refusal is an error with the master's reason.
[[nodiscard]] ipc::Result<std::string> control(const std::string& path, const std::string& command);

}  // namespace master
