// master/service_manager.cpp: lines of NAME=VALUE to a Unix datagram socket.
#include "master/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "conf/units.h"
#include "ipc/clock.h"
#include "ipc/unique_fd.h"
#include "master/environment.h"

namespace master {
namespace {

/// One line: whatever else is in it would be a state of its own.
std::string one_line(std::string_view text) {
    std::string line(text);
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\0'; }, ' ');
    return line;
}

}  // namespace

ServiceEnvironment ServiceEnvironment::take() {
    ServiceEnvironment found;
    found.socket = take_variable("NOTIFY_SOCKET");
    const auto interval = conf::parse_number(take_variable("WATCHDOG_USEC"), 1, 1ull << 50);
    const auto pid = take_variable("WATCHDOG_PID");
    if (interval && (pid.empty() || pid == std::to_string(::getpid())))
        found.watchdog = std::chrono::microseconds(*interval);
    return found;
}

std::vector<std::string> ServiceEnvironment::variables() const {
    std::vector<std::string> all;
    if (!socket.empty()) all.push_back("NOTIFY_SOCKET=" + socket);
    if (watchdog) all.push_back("WATCHDOG_USEC=" + std::to_string(watchdog->count()));
    return all;
}

ServiceManager::ServiceManager(event_base& loop, ServiceEnvironment environment,
                               std::function<bool()> healthy)
    : environment_(std::move(environment)),
      healthy_(std::move(healthy)),
      ping_(ipc::Event::timer<&ServiceManager::on_ping>(this, loop)) {
    if (environment_.watchdog) on_ping(EV_TIMEOUT);
}

void ServiceManager::ready(std::string_view status) { send("READY=1\nSTATUS=" + one_line(status)); }

void ServiceManager::reloading() {
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(ipc::monotonic_us()) + "\nSTATUS=reloading");
}

void ServiceManager::stopping(std::string_view status) { send("STOPPING=1\nSTATUS=" + one_line(status)); }

void ServiceManager::status(std::string_view status) { send("STATUS=" + one_line(status)); }

void ServiceManager::main_pid(pid_t pid) { send("MAINPID=" + std::to_string(pid)); }

void ServiceManager::on_ping(short) {
    if (healthy_()) send("WATCHDOG=1");
    const auto half = std::chrono::duration_cast<std::chrono::milliseconds>(*environment_.watchdog / 2);
    ping_.arm(std::max(half, std::chrono::milliseconds{1}));
}

void ServiceManager::send(const std::string& state) const {
    const auto& path = environment_.socket;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() < 2 || path.size() >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
    const ipc::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return;
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    (void)!::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace master
