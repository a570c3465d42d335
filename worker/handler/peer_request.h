// worker/handler/peer_request.h: the head of a request as a peer gets it: rebuilt, never as it came.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/handler/random_ids.h"
#include "worker/handler/text_template.h"
#include "worker/http/exchange.h"
#include "worker/http/hop_by_hop.h"

namespace worker::handler {

class HeadBlock;

/// One a route. Fields that belong to one connection alone are left out (RFC 9110 7.6.1), the framing is our
/// own (RFC 9112 6), and the configuration's fields take the place of the client's.
class PeerRequest {
 public:
    /// All must outlive it.
    PeerRequest(const conf::Route& route, const Facts& facts, const execution::Clock& clock);

    struct Options {
        bool upgrade = false;          ///< the client asks for another protocol, and may have it
        std::string_view target = {};  ///< instead of the client's
        std::string_view more = {};    ///< further lines
        std::string_view method = {};  ///< instead of the client's
        std::string_view host = {};    ///< for a client that names none
        /// The answer is for us: whole, as it is, whatever the client would make of a part of it.
        bool plain = false;
        bool framed = false;  ///< by `more`
        bool of_job = false;  ///< it is kept, and sent later
    };
    /// Appends all of the head to `out`.
    void append(std::string& out, const http::Exchange& exchange, const Options& options);

 private:
    struct Line {
        std::string name;
        TextTemplate value;
        bool removes;
    };

    void append_line(std::string& out, const http::Exchange& exchange, const Options& options,
                     std::string_view authority);
    void append_target(std::string& out, const http::Exchange& exchange);
    [[nodiscard]] bool append_rewritten(std::string& out, const http::Request& request, bool& queried) const;
    void append_path(std::string& out, const http::Request& request) const;
    void append_fields(std::string& out, const http::Request& request, const Options& options, bool page);
    void append_about(std::string& out, const http::Exchange& exchange, std::string_view host);
    void write_before(HeadBlock& block, const http::Request& request, http::Known known);
    void write_forwarded(HeadBlock& block, const http::Exchange& exchange, std::string_view client,
                         std::string_view host);
    void write_ids(HeadBlock& block, const http::Request& request);
    void append_framing(std::string& out, const http::Exchange& exchange) const;
    [[nodiscard]] bool is_set(std::string_view name) const { return !lines_.empty() && is_among_lines(name); }
    [[nodiscard]] bool is_among_lines(std::string_view name) const;

    const conf::Route& route_;
    Facts facts_;
    const execution::Clock& clock_;
    std::unique_ptr<re2::RE2> rewrite_;
    std::vector<Line> lines_;
    RandomIds ids_;
    std::string room_;
};

using http::is_hop_by_hop;
using http::named_by_connection;

/// Of a request that is to be a job: `Prefer` and `Job-...`, which have done what they were for, and what is
/// for us alone.
[[nodiscard]] bool is_no_matter_of_job(std::string_view name) noexcept;

/// Asks for less than the whole, or for nothing if it is known already: no matter of an error page.
[[nodiscard]] bool is_conditional(http::Known known) noexcept;

}  // namespace worker::handler
