#include "worker/connection/peer.h"

#include <arpa/inet.h>

#include <cstring>

namespace worker::connection {

Peer Peer::from(const sockaddr_storage& address) noexcept {
    Peer peer;
    if (address.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &address, sizeof in);
        peer.family_ = AF_INET;
        peer.port_ = ntohs(in.sin_port);
        std::memcpy(peer.bytes_.data(), &in.sin_addr, sizeof in.sin_addr);
    } else if (address.ss_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &address, sizeof in);
        peer.port_ = ntohs(in.sin6_port);
        const bool mapped = IN6_IS_ADDR_V4MAPPED(&in.sin6_addr) != 0;
        peer.family_ = mapped ? AF_INET : AF_INET6;
        const unsigned char* bytes = in.sin6_addr.s6_addr;
        std::memcpy(peer.bytes_.data(), mapped ? bytes + 12 : bytes, mapped ? 4 : 16);
    }
    return peer;
}

std::string_view Peer::text(Text& room) const noexcept {
    if (family_ == AF_UNIX) return "unix:";
    if (family_ == AF_INET) {  // at each proxied request and log line: without a format string
        char* at = room.data();
        for (int i = 0; i < 4; ++i) {
            if (i > 0) *at++ = '.';
            const unsigned number = bytes_[static_cast<std::size_t>(i)];
            if (number >= 100) *at++ = static_cast<char>('0' + number / 100);
            if (number >= 10) *at++ = static_cast<char>('0' + number / 10 % 10);
            *at++ = static_cast<char>('0' + number % 10);
        }
        return {room.data(), static_cast<std::size_t>(at - room.data())};
    }
    const char* text = ::inet_ntop(family_, bytes_.data(), room.data(), static_cast<socklen_t>(room.size()));
    return text != nullptr ? std::string_view(text) : std::string_view("unknown");
}

}  // namespace worker::connection
