// worker/handler/cgi_params.h: what a program is told of a request (RFC 3875 4.1), as the content of
// FastCGI's PARAMS.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/connection/peer.h"
#include "worker/handler/scripts.h"
#include "worker/handler/text_template.h"
#include "worker/http/exchange.h"

namespace worker::handler {

/// One a route. The configuration's `fastcgi_param` take the place of ours and of the client's.
//
// Of the client's fields those become HTTP_… whose names are letters, digits and `-`: other bytes than these
// turn into `_` on the way, here or in the program, and `X_Real_IP` or `X.Real.IP` would be X-Real-IP.
// `Proxy` does not: it would be HTTP_PROXY, which libraries take for a setting. What concerns the connection
// alone does not.
class CgiParams {
 public:
    /// `route` and `clock` must outlive it.
    CgiParams(const conf::Route& route, const Facts& facts, const execution::Clock& clock);

    struct About {
        const Script& script;
        std::string_view document_root;           ///< empty: none
        connection::Peer local;                   ///< our end of the client's connection
        std::optional<std::uint64_t> body_bytes;  ///< none: there is no body
        std::string_view request_id;              ///< for a client that sent none; empty: none
        bool of_job = false;                      ///< it is kept, and sent later
    };
    void append(std::string& out, const http::Exchange& exchange, const About& about);

 private:
    struct Own {
        std::string name;
        TextTemplate value;
        bool removes;
    };

    void add(std::string& out, std::string_view name, std::string_view value) const;
    void append_target(std::string& out, const http::Exchange& exchange, const About& about);
    void append_ends(std::string& out, const http::Exchange& exchange, const About& about) const;
    void append_fields(std::string& out, const http::Request& request, bool page, bool of_job);
    [[nodiscard]] std::string_view joined(const http::Request& request, std::size_t at);
    [[nodiscard]] bool is_own(std::string_view name) const noexcept;

    const conf::Route& route_;
    Facts facts_;
    const execution::Clock& clock_;
    std::vector<Own> own_;
    std::string name_, value_, connection_;  // scratch
};

}  // namespace worker::handler
