// worker/handler/peer_response.h: the fields of a peer's response as the client gets them.
#pragma once

#include <string>
#include <string_view>

#include "conf/config.h"
#include "worker/http/head.h"

namespace worker::handler {

/// Without those of one connection alone (RFC 9110 7.6.1), and those that we write ourselves or that are to
/// be hidden. One a route.
class PeerResponse {
 public:
    /// `route` must outlive it.
    explicit PeerResponse(const conf::Route& route) noexcept : route_(route) {}

    /// Appends lines. `peer`: its name, as a Location of its own may have it.
    void append_fields(std::string& out, const http::Head& head, std::string_view peer) const;
    /// Nothing that frames a message may stand there (RFC 9110 6.5.1).
    void append_trailers(std::string& out, std::string_view lines) const;

 private:
    void append_location(std::string& out, std::string_view location, std::string_view peer) const;
    [[nodiscard]] bool is_hidden(std::string_view name) const;

    const conf::Route& route_;
};

}  // namespace worker::handler
