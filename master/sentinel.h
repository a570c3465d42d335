// master/sentinel.h: keeps alive the one process of a generation that checks peers and resolves names.
#pragma once

#include <cstdint>
#include <functional>

#include "master/companion.h"

namespace master {

/// Nobody waits for it, and nothing fails with it: while there is none, or while it is stuck, workers go on
/// with what they know of their peers.
class Sentinel final : private CompanionTrade {
 public:
    using Surroundings = Companion::Surroundings;

    /// `on_change` is called when its process has ended, or has confirmed a reopen.
    Sentinel(const Surroundings& around, std::function<void()> on_change);

    /// Forks, also again and again. `term`: of its generation, for `ipc::HealthLease`.
    void start(std::uint32_t term);
    /// Its generation serves: it may check peers from now on, and not only resolve names.
    void serve() { process_.serve(); }
    /// Names are resolved; or it cannot be waited for any longer.
    [[nodiscard]] bool resolved() const noexcept { return !process_.wanted() || process_.settled(); }
    /// For good: told, then killed.
    void stop();
    void tell(const ipc::Message& message) { process_.tell(message); }
    /// It writes to the error log of `logs` from now on; `request` grows.
    void reopen(std::uint32_t request) { process_.reopen(request); }
    /// Or there is no process that would have to.
    [[nodiscard]] bool confirmed(std::uint32_t request) const noexcept { return process_.confirmed(request); }

    [[nodiscard]] bool running() const noexcept { return process_.running(); }
    [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }
    [[nodiscard]] std::uint32_t restarts() const noexcept { return process_.restarts(); }
    [[nodiscard]] bool wanted() const noexcept { return process_.wanted(); }

 private:
    [[nodiscard]] const char* work() const noexcept override { return "check"; }
    void furnish(ipc::Seat& seat) override;

    std::uint32_t term_ = 0;
    Companion process_;
};

}  // namespace master
