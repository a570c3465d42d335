#include "worker/http/hop_by_hop.h"

#include "worker/http/host.h"

namespace worker::http {

bool is_hop_by_hop(Known known) noexcept {
    switch (known) {
        case Known::connection:
        case Known::content_length:
        case Known::keep_alive:
        case Known::proxy_connection:
        case Known::te:
        case Known::trailer:
        case Known::transfer_encoding:
        case Known::upgrade: return true;
        default: return false;
    }
}

std::string_view named_by_connection(const Head& head, std::string& room) {
    const std::string_view named = head.joined(Known::connection, room);
    return equals_ignore_case(named, "keep-alive") ? std::string_view() : named;
}

}  // namespace worker::http
