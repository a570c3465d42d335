// worker/upstream/named_peers.h: the places of peers that are names, kept as the sentinel says.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "conf/config.h"
#include "ipc/scoreboard.h"
#include "worker/upstream/peer.h"

namespace worker::upstream {

/// Of one upstream of a loop. Loop thread only.
class NamedPeers {
 public:
    /// Adds the places to `peers`, all of them empty; that must outlive it, and get no more. `board`: null,
    /// and nobody ever stands there.
    NamedPeers(const conf::Upstream& upstream, std::deque<Peer>& peers, const ipc::Scoreboard* board);

    [[nodiscard]] bool any() const noexcept { return !names_.empty(); }
    /// Nobody stands anywhere, nor is there another peer.
    [[nodiscard]] bool nobody() const noexcept;
    /// One load a name.
    [[nodiscard]] bool stale() const noexcept;
    /// Does as the scoreboard says. `leaving` is told of each peer whose address will be another, or none,
    /// before it is. True: something has changed.
    bool follow(const std::function<void(Peer&)>& leaving);

 private:
    struct Name {
        const conf::UpstreamPeer& config;
        const ipc::NameCell& cell;
        std::vector<Peer*> places;
        std::vector<ipc::NameAddress> now;
        std::uint64_t version = 0;  ///< of `now`
    };
    [[nodiscard]] static bool follow(Name& name, const std::function<void(Peer&)>& leaving);

    const std::deque<Peer>& peers_;
    std::vector<Name> names_;
};

}  // namespace worker::upstream
