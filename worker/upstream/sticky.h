// worker/upstream/sticky.h: `sticky = cookie NAME`: a client stays with the peer that answered it first.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/upstream/peer.h"

namespace worker::upstream {

/// The cookie's value is a keyed hash of upstream and peer: it says nothing of the address, every worker and
/// generation reads it alike, and it holds for as long as the peer is configured. Loop thread only.
class Sticky {
 public:
    /// `peers` must outlive it, and stay. `seed`: the key, where the configuration has no `secret`.
    Sticky(const conf::Sticky& config, std::string_view upstream, std::deque<Peer>& peers,
           std::uint64_t seed);

    /// Whom the value of a Cookie field (RFC 6265 4.2) means; null: nobody that is configured.
    [[nodiscard]] Peer* find(std::string_view cookies) const noexcept;
    /// "Set-Cookie: NAME=VALUE; Path=/\r\n".
    [[nodiscard]] const std::string& field(const Peer& peer) const;

 private:
    struct Bound {
        Peer* peer;
        std::string value, field;
    };

    std::string name_;
    std::vector<Bound> all_;
};

}  // namespace worker::upstream
