#include "worker/http/field.h"

#include "worker/http/host.h"

namespace worker::http {

Known known_field(std::string_view name) noexcept {
    const auto is = [name](std::string_view known) { return equals_ignore_case(name, known); };
    switch (name.size()) {
        case 4: return is("host") ? Known::host : Known::other;
        case 5: return is("range") ? Known::range : Known::other;
        case 6:
            if (is("accept")) return Known::accept;
            return is("expect") ? Known::expect : Known::other;
        case 7: return is("referer") ? Known::referer : Known::other;
        case 8:
            if (is("if-match")) return Known::if_match;
            return is("if-range") ? Known::if_range : Known::other;
        case 10:
            if (is("connection")) return Known::connection;
            return is("user-agent") ? Known::user_agent : Known::other;
        case 12: return is("content-type") ? Known::content_type : Known::other;
        case 13: return is("if-none-match") ? Known::if_none_match : Known::other;
        case 14: return is("content-length") ? Known::content_length : Known::other;
        case 15:
            if (is("accept-encoding")) return Known::accept_encoding;
            return is("x-forwarded-for") ? Known::x_forwarded_for : Known::other;
        case 17:
            if (is("if-modified-since")) return Known::if_modified_since;
            return is("transfer-encoding") ? Known::transfer_encoding : Known::other;
        case 19: return is("if-unmodified-since") ? Known::if_unmodified_since : Known::other;
        default: return Known::other;
    }
}

}  // namespace worker::http
