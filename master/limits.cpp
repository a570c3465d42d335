// master/limits.cpp: RLIMIT_NOFILE and the affinity mask.
#include "master/limits.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>

namespace master {

ipc::Result<std::uint64_t> raise_open_files(std::uint64_t wanted) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return ipc::system_error("read the limit of open files");
    const rlim_t target = wanted == 0 ? limit.rlim_max : wanted;
    limit.rlim_cur = target;
    limit.rlim_max = std::max(limit.rlim_max, target);
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return ipc::system_error("raise the limit of open files to " + std::to_string(target));
    return target;
}

std::uint32_t usable_cpus() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace master
