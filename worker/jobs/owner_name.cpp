#include "worker/jobs/owner_name.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "ipc/clock.h"

namespace worker::jobs {

std::string owner_name() {
    std::string boot;
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
    std::erase(boot, '-');
    return boot + ":" + std::to_string(::getpid()) + ":" + std::to_string(ipc::monotonic_us());
}

}  // namespace worker::jobs
