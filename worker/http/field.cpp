#include "worker/http/field.h"

#include "worker/http/host.h"

namespace worker::http {

Known known_field(std::string_view name) noexcept {
    const auto is = [name](std::string_view known) { return equals_ignore_case(name, known); };
    switch (name.size()) {
        case 2: return is("te") ? Known::te : Known::other;
        case 3: return is("via") ? Known::via : Known::other;
        case 4:
            if (is("date")) return Known::date;
            return is("host") ? Known::host : Known::other;
        case 5: return is("range") ? Known::range : Known::other;
        case 6:
            if (is("accept")) return Known::accept;
            if (is("expect")) return Known::expect;
            return is("server") ? Known::server : Known::other;
        case 7:
            if (is("referer")) return Known::referer;
            if (is("trailer")) return Known::trailer;
            return is("upgrade") ? Known::upgrade : Known::other;
        case 8:
            if (is("if-match")) return Known::if_match;
            if (is("if-range")) return Known::if_range;
            return is("location") ? Known::location : Known::other;
        case 9: return is("forwarded") ? Known::forwarded : Known::other;
        case 10:
            if (is("connection")) return Known::connection;
            if (is("keep-alive")) return Known::keep_alive;
            if (is("set-cookie")) return Known::set_cookie;
            return is("user-agent") ? Known::user_agent : Known::other;
        case 11: return is("traceparent") ? Known::traceparent : Known::other;
        case 12:
            if (is("content-type")) return Known::content_type;
            return is("x-request-id") ? Known::x_request_id : Known::other;
        case 13: return is("if-none-match") ? Known::if_none_match : Known::other;
        case 14: return is("content-length") ? Known::content_length : Known::other;
        case 15:
            if (is("accept-encoding")) return Known::accept_encoding;
            return is("x-forwarded-for") ? Known::x_forwarded_for : Known::other;
        case 16:
            if (is("proxy-connection")) return Known::proxy_connection;
            return is("x-forwarded-host") ? Known::x_forwarded_host : Known::other;
        case 17:
            if (is("if-modified-since")) return Known::if_modified_since;
            if (is("transfer-encoding")) return Known::transfer_encoding;
            return is("x-forwarded-proto") ? Known::x_forwarded_proto : Known::other;
        case 19: return is("if-unmodified-since") ? Known::if_unmodified_since : Known::other;
        default: return Known::other;
    }
}

}  // namespace worker::http
