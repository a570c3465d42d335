// worker/upstream/peer.h: one of those who answer for us, as a loop sees it.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "ipc/upstream_cells.h"
#include "worker/execution/deadlines.h"

namespace worker::upstream {

/// Stays where it is for the life of its upstream. Loop thread only; the cells are shared.
struct Peer {
    explicit Peer(const conf::UpstreamPeer& peer);
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    /// Another one, in the same place: its weight, address and name.
    void become(const conf::UpstreamPeer& peer);

    /// Whether it may be asked at all now, ejection and limits apart.
    [[nodiscard]] bool up() const noexcept { return !config.down && present; }
    [[nodiscard]] bool ejected(std::uint64_t now_ms) const noexcept {
        return cell->ejected_until_ms.load(std::memory_order_relaxed) > now_ms;
    }

    /// Its checks say so. Without checks nobody is.
    [[nodiscard]] bool unwell() const noexcept { return checked && cell->health.is_down(); }

    conf::UpstreamPeer config;
    /// "127.0.0.1:9000", "unix:/run/x.sock". Stays readable when another one takes the place: logs may name
    /// who was asked long after.
    std::string_view name;
    std::set<std::string> names;  ///< all it ever had
    sockaddr_storage address{};
    socklen_t address_size = 0;
    bool present = true;      ///< false: a place of a name, and nobody stands in it
    std::uint32_t epoch = 0;  ///< grows when somebody else takes the place

    ipc::PeerCell* cell = nullptr;  ///< never null once its upstream stands
    ipc::PeerUse* use = nullptr;    ///< likewise; our own
    std::uint32_t board_index = 0;  ///< 0: the scoreboard does not know it, and the cells are our own

    bool checked = false;          ///< the sentinel says how it is
    std::uint64_t slow_start = 0;  ///< of its upstream, in ms
    std::uint64_t share = 0;       ///< its weight now; see `Balancer`

    execution::Link idle;      ///< its idle connections, the one used last at the end
    bool large = false;        ///< its last response was a large one
    std::int64_t current = 0;  ///< of smooth weighted round robin
    std::uint64_t others = 0;  ///< calls of the other workers, when last looked at
};

}  // namespace worker::upstream
