#include "worker/jobs/owner_name.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>

#include "ipc/clock.h"

namespace worker::jobs {
namespace {

/// Where process ids mean the same as here: this boot of the machine, and containers have ids of their own.
std::string where() {
    std::string boot;
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
    std::erase(boot, '-');
    struct stat space {};
    const bool known = ::stat("/proc/self/ns/pid", &space) == 0;
    return boot + "-" + (known ? std::to_string(space.st_ino) : "0");
}

}  // namespace

std::string owner_name() {
    return where() + ":" + std::to_string(::getpid()) + ":" + std::to_string(ipc::monotonic_us());
}

bool owner_is_gone(std::string_view owner) {
    const auto here = where() + ":";
    if (!owner.starts_with(here)) return false;
    owner.remove_prefix(here.size());
    pid_t pid = 0;
    const auto [end, failure] = std::from_chars(owner.data(), owner.data() + owner.size(), pid);
    if (failure != std::errc() || pid <= 0 || end == owner.data() + owner.size() || *end != ':') return false;
    return ::kill(pid, 0) < 0 && errno == ESRCH;
}

}  // namespace worker::jobs
