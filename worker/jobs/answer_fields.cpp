#include "worker/jobs/answer_fields.h"

#include <algorithm>
#include <array>

#include "worker/http/hop_by_hop.h"
#include "worker/http/host.h"
#include "worker/http/list.h"
#include "worker/jobs/operations.h"

namespace worker::jobs {
namespace {

using http::Known;

bool stays_with_us(std::string_view name) {
    constexpr std::string_view ours = "x-accel-";
    constexpr std::array<std::string_view, 5> names{"authentication-info", "proxy-authenticate",
                                                    "proxy-authentication-info", "set-cookie2", "x-sendfile"};
    return http::equals_ignore_case(name.substr(0, ours.size()), ours) ||
           std::any_of(names.begin(), names.end(),
                       [name](std::string_view other) { return http::equals_ignore_case(name, other); });
}

}  // namespace

std::string answer_fields(const http::Head& head, std::string_view hidden) {
    std::string lines, line, room;
    const std::string_view connection = http::named_by_connection(head, room);
    for (const http::Field& field : head.fields) {
        if (http::is_hop_by_hop(field.known) || field.known == Known::date || field.known == Known::server ||
            field.known == Known::content_type || field.known == Known::set_cookie)
            continue;
        const std::string_view name = head.view(field.name);
        if (field.known == Known::other && stays_with_us(name)) continue;
        if (!connection.empty() && http::has_token(connection, name)) continue;
        if (!hidden.empty() && http::has_token(hidden, name)) continue;
        line.clear();
        head.append_line(line, field);
        if (lines.size() + line.size() <= result_fields_max) lines += line;
    }
    return lines;
}

}  // namespace worker::jobs
