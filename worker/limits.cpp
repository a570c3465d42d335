// worker/limits.cpp: RLIMIT_CORE and the affinity mask.
#include "worker/limits.h"

#include <sched.h>
#include <sys/resource.h>

namespace worker {

ipc::Result<void> limit_core(std::optional<std::uint64_t> bytes) {
    if (!bytes) return {};
    const rlimit limit{.rlim_cur = *bytes, .rlim_max = *bytes};
    if (::setrlimit(RLIMIT_CORE, &limit) < 0) return ipc::system_error("core_max");
    return {};
}

ipc::Result<void> stay_on_processor(std::uint32_t number) {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    if (::sched_getaffinity(0, sizeof usable, &usable) < 0) return ipc::system_error("cpu_affinity");
    auto wanted = number % static_cast<std::uint32_t>(CPU_COUNT(&usable));
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &usable) || wanted-- != 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (::sched_setaffinity(0, sizeof one, &one) < 0) return ipc::system_error("cpu_affinity");
        return {};
    }
    return {};
}

}  // namespace worker
