#include "worker/handler/peer_response.h"

#include <algorithm>

#include "worker/handler/cookie_rewrite.h"
#include "worker/handler/peer_request.h"
#include "worker/http/host.h"
#include "worker/http/list.h"

namespace worker::handler {

using http::Known;

void PeerResponse::append_fields(std::string& out, const http::Head& head, std::string_view peer) const {
    const conf::Proxy& terms = route_.proxy;
    const bool rewrites_cookies = !terms.cookie_domain.empty() || !terms.cookie_path.empty();
    std::string joined;
    const std::string_view connection = named_by_connection(head, joined);
    for (const http::Field& field : head.fields) {
        if (is_hop_by_hop(field.known) || field.known == Known::date || field.known == Known::server)
            continue;
        const std::string_view name = head.view(field.name);
        if (!connection.empty() && http::has_token(connection, name)) continue;
        if (is_hidden(name)) continue;
        if (field.known == Known::location && terms.rewrite_redirect) {
            out.append(name).append(": ");
            append_location(out, head.view(field.value), peer);
            out.append("\r\n");
        } else if (field.known == Known::set_cookie && rewrites_cookies) {
            out.append(name).append(": ");
            append_cookie(out, head.view(field.value), terms);
            out.append("\r\n");
        } else {
            head.append_line(out, field);
        }
    }
}

bool PeerResponse::is_hidden(std::string_view name) const {
    const auto& hidden = route_.proxy.hide_header;
    return !hidden.empty() && std::any_of(hidden.begin(), hidden.end(), [name](const std::string& other) {
        return http::equals_ignore_case(other, name);
    });
}

void PeerResponse::append_trailers(std::string& out, std::string_view lines) const {
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find('\n') + 1);
        const std::string_view name = line.substr(0, line.find(':'));
        if (!is_hop_by_hop(http::known_field(name)) && !is_hidden(name)) out.append(line);
        lines.remove_prefix(line.size());
    }
}

/// What leads to the peer itself, or to its upstream by name, leads to us.
void PeerResponse::append_location(std::string& out, std::string_view location, std::string_view peer) const {
    constexpr std::string_view scheme = "http://";
    std::string_view rest = location;
    if (rest.starts_with(scheme)) {
        rest.remove_prefix(scheme.size());
        const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
        if (authority == peer || authority == route_.proxy.upstream) {
            rest.remove_prefix(authority.size());
            // More than one slash would lead to a host of that name.
            rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
            if (route_.strip_prefix) out.append(route_.path.text);
            if (!out.ends_with('/')) out += '/';
            out.append(rest);
            return;
        }
    }
    out.append(location);
}

}  // namespace worker::handler
