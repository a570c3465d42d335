#include "worker/upstream/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

namespace worker::upstream {

Peer::Peer(const conf::UpstreamPeer& peer) { become(peer); }

void Peer::become(const conf::UpstreamPeer& peer) {
    config = peer;
    name = *names.insert(peer.address.text()).first;
    address = {};
    const conf::Address& from = peer.address;
    switch (from.family) {
        case conf::Address::Family::ipv4: {
            sockaddr_in in{};
            in.sin_family = AF_INET;
            in.sin_port = htons(from.port);
            ::inet_pton(AF_INET, from.host.c_str(), &in.sin_addr);
            std::memcpy(&address, &in, address_size = sizeof in);
            break;
        }
        case conf::Address::Family::ipv6: {
            sockaddr_in6 in{};
            in.sin6_family = AF_INET6;
            in.sin6_port = htons(from.port);
            ::inet_pton(AF_INET6, from.host.c_str(), &in.sin6_addr);
            std::memcpy(&address, &in, address_size = sizeof in);
            break;
        }
        case conf::Address::Family::unix_path: {
            sockaddr_un un{};
            un.sun_family = AF_UNIX;
            from.host.copy(un.sun_path, sizeof un.sun_path - 1);  // the configuration keeps it short enough
            std::memcpy(&address, &un, address_size = sizeof un);
            break;
        }
    }
}

}  // namespace worker::upstream
