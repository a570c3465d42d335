// worker/connection/peer.h: who is at the other end.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace worker::connection {

/// An address in 20 bytes; its text is made when asked for.
class Peer {
 public:
    /// As accept(2) tells it; anything but IPv4 and IPv6 is a Unix socket. IPv4-mapped addresses become IPv4.
    [[nodiscard]] static Peer from(const sockaddr_storage& address) noexcept;

    using Text = std::array<char, INET6_ADDRSTRLEN>;
    /// "192.0.2.1", "2001:db8::1" or "unix:"; a view into `room`.
    [[nodiscard]] std::string_view text(Text& room) const noexcept;
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
    std::array<unsigned char, 16> bytes_{};
    std::uint16_t port_ = 0;
    sa_family_t family_ = AF_UNIX;
};

}  // namespace worker::connection
