// master/preloading.h: what the process does that loads for others and forks them.
#pragma once

#include <vector>

#include "ipc/channel.h"
#include "master/preloader.h"

namespace master {

/// All of it was made before the fork.
struct Preloading {
    const PreloadMain& load;
    int config = -1;               ///< the configuration's text
    int error_log = -1;            ///< closed when it is ready: it says nothing any more
    const std::vector<int>& keep;  ///< descriptors that those it forks need, beside those that loading opens
    const Preloader::Seating& seating;
};

/// Loads, says READY, and forks when it is told to, until it is told to leave or the master is gone. Returns
/// the exit status. Fails when what it loads begins a thread: no worker would have that.
[[nodiscard]] int preload(const Preloading& what, ipc::Channel channel);

}  // namespace master
