// worker/observe/access_record.h: what is known of a request once it was answered.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/http/tries.h"

namespace worker::observe {

/// One request as the access log tells it; views live only during the call.
struct AccessRecord {
    std::string_view client;  ///< "127.0.0.1", "::1", "unix:"
    std::uint16_t client_port = 0;
    std::string_view method, target, protocol;  ///< as received; empty when the request could not be read
    std::string_view host, referer, user_agent, range, forwarded_for;  ///< header values; empty: none
    std::uint16_t status = 0;
    std::uint64_t body_bytes = 0;           ///< sent, without the header
    std::uint64_t bytes_sent = 0;           ///< with the header
    std::uint64_t bytes_received = 0;       ///< request line, header and body
    std::uint64_t connection = 0;           ///< its number in this worker
    std::uint64_t connection_requests = 0;  ///< which request on its connection this is; the first is 1
    std::uint64_t request_time_us =
        0;                           ///< from the first byte received to the last byte handed to the kernel
    std::string_view server, route;  ///< names in the configuration; empty: none was chosen
    const http::Tries* tries = nullptr;  ///< peers that were asked; null: none
    bool keep_alive = false;
};

}  // namespace worker::observe
