// master/pool_launch.h: what a forked process does to become a member of a pool.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "conf/pool.h"
#include "ipc/seat.h"
#include "master/title.h"

namespace master {

/// What a member does by our own code; returns the exit status.
using PoolMain = std::function<int(ipc::PoolSeat)>;

/// What `launch` works with, all of it ready before the fork.
struct Launch {
    const conf::Pool& pool;
    std::string user;  ///< when we are root: whom to become
    int listener = -1;
    int output = -1;  ///< takes standard output and error
    int config = -1;  ///< for `serve`
    const PoolMain& serve;
    ProcessTitle* title = nullptr;  ///< likewise
    pid_t master = 0;
    ipc::MemberVitals* vitals = nullptr;  ///< likewise
};

/// In the child: a process group of its own, scheduled as a batch, limits, user, folder, descriptors; then
/// the program. Dies with the master. What fails is said on its standard error, and the status is 126 or 127,
/// as a shell has it.
[[nodiscard]] int launch(const Launch& what);

/// The variables of a member that is a program: PATH, the pool's own, and what keeps php-cgi from managing
/// processes itself.
[[nodiscard]] std::vector<std::string> environment_of(const conf::Pool& pool);

}  // namespace master
