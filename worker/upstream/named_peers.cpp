// worker/upstream/named_peers.cpp: a place changes only where its address does.
#include "worker/upstream/named_peers.h"

#include <algorithm>

#include "worker/upstream/watched_name.h"

namespace worker::upstream {

NamedPeers::NamedPeers(const conf::Upstream& upstream, std::deque<Peer>& peers, const ipc::Scoreboard* board)
    : peers_(peers) {
    for (const conf::UpstreamPeer& config : upstream.peers) {
        if (!config.is_name()) continue;
        const auto index = board != nullptr ? board->name(upstream.name, config.text()) : 0;
        if (index == 0) continue;
        Name& name = names_.emplace_back(Name{config, board->name_cell(index), {}, {}});
        name.now.resize(config.peers_max);
        for (std::uint32_t number = 0; number < config.peers_max; ++number) {
            Peer& peer = peers.emplace_back(config);
            peer.present = false;
            peer.board_index = board->place(upstream.name, config.text(), number);
            name.places.push_back(&peer);
        }
    }
}

bool NamedPeers::nobody() const noexcept {
    return any() && std::none_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.up(); });
}

bool NamedPeers::stale() const noexcept {
    return std::any_of(names_.begin(), names_.end(),
                       [](const Name& name) { return name.cell.version() != name.version; });
}

bool NamedPeers::follow(const std::function<void(Peer&)>& leaving) {
    bool changed = false;
    for (Name& name : names_)
        if (name.cell.version() != name.version) changed = follow(name, leaving) || changed;
    return changed;
}

bool NamedPeers::follow(Name& name, const std::function<void(Peer&)>& leaving) {
    const auto version = name.cell.version();
    const auto wanted = name.cell.read();
    if (!wanted) return false;  // it is being written: what we have is good until then
    name.version = version;
    bool changed = false;
    for (std::size_t number = 0; number < name.places.size(); ++number) {
        Peer& peer = *name.places[number];
        const ipc::NameAddress& address = (*wanted)[number];
        ipc::NameAddress& now = name.now[number];
        if (address == now) continue;
        changed = true;
        if (!address.same_peer(now)) {
            leaving(peer);
            ++peer.epoch;
        }
        now = address;
        peer.present = static_cast<bool>(address);
        if (peer.present) peer.become(peer_in_place(name.config, address));
    }
    return changed;
}

}  // namespace worker::upstream
