// worker/upstream/watched_name.h: a name, and the checks of those who stand in its places.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "worker/upstream/health_watch.h"
#include "worker/upstream/name_watch.h"

namespace worker::upstream {

/// Loop thread only.
class WatchedName {
 public:
    struct Surroundings : NameWatch::Surroundings {
        HealthRight checks;  ///< to check; `right`: to resolve
    };

    /// All outlive it. `on_change`: from the loop, when it is `settled`, or has other addresses.
    WatchedName(const Surroundings& around, std::function<void()> on_change);
    WatchedName(const WatchedName&) = delete;
    WatchedName& operator=(const WatchedName&) = delete;

    /// The right to resolve, or to check, was got or is still there.
    void begin() { names_.begin(); }
    void begin_checks();
    [[nodiscard]] bool settled() const noexcept { return names_.settled(); }

 private:
    struct Check {
        ipc::NameAddress address;  ///< none: nobody stands there
        std::unique_ptr<HealthWatch> watch;
    };

    void follow();

    Surroundings around_;
    std::function<void()> on_change_;
    std::vector<Check> checks_;
    bool checking_ = false;
    NameWatch names_;
};

/// The peer in a place: as it is configured, with that address.
[[nodiscard]] conf::UpstreamPeer peer_in_place(const conf::UpstreamPeer& name,
                                               const ipc::NameAddress& address);

}  // namespace worker::upstream
