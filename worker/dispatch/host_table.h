// worker/dispatch/host_table.h: finds the virtual server for a host name on one address.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "conf/config.h"

namespace worker::dispatch {

/// Filled once, then only read. An exact name wins, then the longest "*.example.org", then the longest
/// "example.*", then the server marked `default` for the address, then one that names no host and so takes
/// any, then the first one added.
class HostTable {
 public:
    /// `server` must outlive this; `listen` is its entry for the address.
    void add(const conf::Server& server, std::uint32_t index, const conf::Listen& listen);

    /// The index given to `add`. `host` without port, in any case. Allocates nothing.
    [[nodiscard]] std::uint32_t find(std::string_view host) const;
    [[nodiscard]] bool empty() const { return servers_ == 0; }

 private:
    using Names = std::unordered_map<std::string_view, std::uint32_t>;
    /// Why a server takes what no other is named for; the strongest last.
    enum class Claim : std::uint8_t { first, nameless, marked };

    [[nodiscard]] std::uint32_t find_lower(std::string_view host) const;

    Names exact_;
    Names suffixes_;  ///< "*.example.org" as ".example.org"
    Names prefixes_;  ///< "example.*" as "example."
    std::uint32_t servers_ = 0;
    std::uint32_t fallback_ = 0;
    Claim claim_ = Claim::first;  ///< what made it the fallback
};

}  // namespace worker::dispatch
