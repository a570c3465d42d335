// master/activation.h: sockets that a service manager bound for us, as systemd.socket(5) does.
#pragma once

#include <optional>

#include "ipc/result.h"
#include "master/listeners.h"

namespace master {

/// The listening sockets of LISTEN_FDS, if LISTEN_PID means this process; otherwise none. Each serves the
/// address of the configuration that it is bound to, for all slots. Takes the variables out of the
/// environment and makes the descriptors close-on-exec. What is no listening stream socket is an error.
[[nodiscard]] ipc::Result<Listeners> take_activation();

}  // namespace master
