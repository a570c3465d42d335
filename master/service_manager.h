// master/service_manager.h: tells systemd, or whoever started us so, how the service is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "ipc/event.h"

namespace master {

/// What the environment says about a service manager; see sd_notify(3) and sd_watchdog_enabled(3).
struct ServiceEnvironment {
    std::string socket;                                 ///< NOTIFY_SOCKET; empty: nobody wants to know
    std::optional<std::chrono::microseconds> watchdog;  ///< WATCHDOG_USEC, if it is meant for this process

    /// Takes the variables out of the environment, so that no child has them.
    [[nodiscard]] static ServiceEnvironment take();
    /// For the environment of a master that follows this one.
    [[nodiscard]] std::vector<std::string> variables() const;
};

/// Sends states, one datagram each: a protocol so small that it needs no library. Never waits; a message
/// that cannot be sent is lost. Without a socket it does nothing.
class ServiceManager {
 public:
    /// `healthy`: asked before each ping of the watchdog, at half its interval: only when somebody serves
    /// does the service manager hear that we are well. `loop` outlives this.
    ServiceManager(event_base& loop, ServiceEnvironment environment, std::function<bool()> healthy);
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    /// Serving, for the first time or again after `reloading`, however that went.
    void ready(std::string_view status);
    void reloading();
    void stopping(std::string_view status);
    void status(std::string_view status);
    /// Another process is the service from now on.
    void main_pid(pid_t pid);

    [[nodiscard]] const ServiceEnvironment& environment() const noexcept { return environment_; }

 private:
    void on_ping(short what);
    void send(const std::string& state) const;

    ServiceEnvironment environment_;
    std::function<bool()> healthy_;
    ipc::Event ping_;
};

}  // namespace master
