// worker/upstream/sticky.h: `sticky = cookie NAME`: a client stays with the peer that answered it first.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "ipc/keyed_hash.h"
#include "worker/upstream/peer.h"

namespace worker::upstream {

/// The cookie's value is a keyed hash of upstream and peer: it says nothing of the address, every worker and
/// generation reads it alike, and it holds for as long as the peer is configured, or its name has that
/// address. Loop thread only.
class Sticky {
 public:
    /// `peers` must outlive it, and stay. `seed`: the key, where the configuration has no `secret`.
    Sticky(const conf::Sticky& config, std::string_view upstream, std::deque<Peer>& peers,
           std::uint64_t seed);

    /// Peers have come or gone.
    void on_change();
    /// Whom the value of a Cookie field (RFC 6265 4.2) means; null: nobody that is here.
    [[nodiscard]] Peer* find(std::string_view cookies) const noexcept;
    /// "Set-Cookie: NAME=VALUE; Path=/\r\n"; empty: it is a place where nobody stands. Until the next change.
    [[nodiscard]] std::string_view field(const Peer& peer) const noexcept;

 private:
    struct Bound {
        Peer* peer;
        std::string value, field;
    };

    std::string name_, upstream_;
    std::string attributes_;  ///< behind the value, with the end of the line
    ipc::HashKey key_;
    std::deque<Peer>& peers_;
    std::vector<Bound> all_;  ///< those who are here
};

}  // namespace worker::upstream
