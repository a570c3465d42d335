#include "worker/handler/cgi_params.h"

#include <algorithm>
#include <charconv>

#include "worker/handler/peer_request.h"
#include "worker/http/fastcgi.h"
#include "worker/http/host.h"
#include "worker/http/list.h"

namespace worker::handler {
namespace {

using http::Known;

/// As text, in a room of its own.
struct NumberText {
    explicit NumberText(std::uint64_t value) noexcept
        : end(std::to_chars(room, room + sizeof room, value).ptr) {}
    [[nodiscard]] std::string_view view() const noexcept {
        return {room, static_cast<std::size_t>(end - room)};
    }
    char room[20];
    char* end;
};

/// "X-Forwarded-For" as "HTTP_X_FORWARDED_FOR" in `out`. False: the name has something else in it.
bool assign_param_name(std::string& out, std::string_view field) {
    out.assign("HTTP_").append(field);
    for (auto at = out.begin() + 5; at != out.end(); ++at) {
        const char c = *at;
        if (c == '-') {
            *at = '_';
        } else if (c >= 'a' && c <= 'z') {
            *at = static_cast<char>(c - 'a' + 'A');
        } else if ((c < 'A' || c > 'Z') && (c < '0' || c > '9')) {
            return false;
        }
    }
    return true;
}

/// Those that are told by other params, or that concern nobody but us.
bool stays_here(Known known) noexcept {
    return known == Known::content_type || known == Known::expect || known == Known::host ||
           is_hop_by_hop(known);
}

/// Whether `host` is `name`, which may begin or end with a `*`, as the router takes it.
bool is_named(std::string_view host, std::string_view name) {
    const auto ends = [](std::string_view text, std::string_view with) {
        return text.size() > with.size() &&
               http::equals_ignore_case(text.substr(text.size() - with.size()), with);
    };
    if (name == "*") return true;
    if (name.starts_with('*')) return ends(host, name.substr(1));
    if (name.ends_with('*')) {
        const std::string_view begin = name.substr(0, name.size() - 1);
        return host.size() > begin.size() && http::equals_ignore_case(host.substr(0, begin.size()), begin);
    }
    return http::equals_ignore_case(host, name);
}

/// The name that the client asked for, where it is one of the server's.
std::string_view server_name_of(const http::Exchange& exchange, std::string_view address) {
    const std::string_view asked = exchange.request.host;
    if (exchange.server != nullptr && !exchange.server->hosts.empty()) {
        const auto& hosts = exchange.server->hosts;
        const bool ours = std::any_of(hosts.begin(), hosts.end(),
                                      [asked](const std::string& host) { return is_named(asked, host); });
        if (ours && !asked.empty()) return asked;
        const auto plain = std::find_if(hosts.begin(), hosts.end(), [](const std::string& host) {
            return host.find('*') == std::string::npos;
        });
        return plain != hosts.end() ? std::string_view(*plain) : address;
    }
    return asked.empty() ? address : asked;
}

}  // namespace

CgiParams::CgiParams(const conf::Route& route, const Facts& facts, const execution::Clock& clock)
    : route_(route), facts_(facts), clock_(clock) {
    for (const conf::Header& param : route.cgi.params)
        own_.push_back({param.name, TextTemplate(param.value, Escape::none), param.value.empty()});
}

void CgiParams::append(std::string& out, const http::Exchange& exchange, const About& about) {
    const http::Request& request = exchange.request;
    const bool page = exchange.error != 0;
    append_target(out, exchange, about);
    add(out, "REQUEST_METHOD", page ? "GET" : request.method());
    if (about.body_bytes) add(out, "CONTENT_LENGTH", NumberText(*about.body_bytes).view());
    if (!page && request.has(Known::content_type))
        add(out, "CONTENT_TYPE", request.value(Known::content_type));
    append_ends(out, exchange, about);
    add(out, "GATEWAY_INTERFACE", "CGI/1.1");
    add(out, "SERVER_SOFTWARE", "reeve/" REEVE_VERSION);
    // Without it php-cgi believes that somebody has called it past its server.
    add(out, "REDIRECT_STATUS", NumberText(page ? exchange.error : 200).view());
    append_fields(out, request, page, about.of_job);
    if (!about.request_id.empty() && !request.has(Known::x_request_id))
        add(out, "HTTP_X_REQUEST_ID", about.request_id);
    for (const Own& own : own_) {
        if (own.removes) continue;
        value_.clear();
        own.value.append(value_, exchange, facts_, clock_);
        http::fastcgi::append_param(out, own.name, value_);
    }
}

void CgiParams::add(std::string& out, std::string_view name, std::string_view value) const {
    if (!own_.empty() && is_own(name)) return;
    http::fastcgi::append_param(out, name, value);
}

void CgiParams::append_target(std::string& out, const http::Exchange& exchange, const About& about) {
    const Script& script = about.script;
    const http::Request& request = exchange.request;
    if (!script.file.empty()) add(out, "SCRIPT_FILENAME", script.file);
    add(out, "SCRIPT_NAME", script.name);
    // Never an empty one: there are programs that count back from its end (CVE-2019-11043).
    if (!script.info.empty()) add(out, "PATH_INFO", script.info);
    if (!about.document_root.empty()) {
        add(out, "DOCUMENT_ROOT", about.document_root);
        if (!script.info.empty()) {
            value_.assign(about.document_root).append(script.info);
            add(out, "PATH_TRANSLATED", value_);
        }
    }
    value_.assign(script.name).append(script.info);
    add(out, "DOCUMENT_URI", value_);
    add(out, "QUERY_STRING", request.target.query);
    const std::string_view target = request.origin_target();
    value_.assign(target.starts_with('/') ? "" : "/").append(target);
    add(out, "REQUEST_URI", value_);
}

/// Of the connection: who is at its ends, and what they speak.
void CgiParams::append_ends(std::string& out, const http::Exchange& exchange, const About& about) const {
    connection::Peer::Text room{}, local_room{};
    const std::string_view local = about.local.text(local_room);
    const std::uint64_t port = about.local.port();
    add(out, "REMOTE_ADDR", exchange.peer.text(room));
    add(out, "REMOTE_PORT", NumberText(exchange.peer.port()).view());
    add(out, "SERVER_ADDR", local);
    // A Unix socket has no port, and stands for the usual one.
    add(out, "SERVER_PORT", NumberText(port != 0 ? port : exchange.secure ? 443 : 80).view());
    add(out, "SERVER_NAME", server_name_of(exchange, local));
    add(out, "SERVER_PROTOCOL", exchange.request.minor == 0 ? "HTTP/1.0" : "HTTP/1.1");
    add(out, "REQUEST_SCHEME", exchange.secure ? "https" : "http");
    if (exchange.secure) add(out, "HTTPS", "on");
}

void CgiParams::append_fields(std::string& out, const http::Request& request, bool page, bool of_job) {
    const std::string_view host =
        !request.target.authority.empty() ? request.target.authority : request.value(Known::host);
    if (!host.empty()) add(out, "HTTP_HOST", host);
    const std::string connection(named_by_connection(request, connection_));
    for (std::size_t at = 0; at < request.fields.size(); ++at) {
        const http::Field& field = request.fields[at];
        if (stays_here(field.known) || (page && is_conditional(field.known))) continue;
        const std::string_view name = request.view(field.name);
        if (!connection.empty() && http::has_token(connection, name)) continue;
        if (of_job && is_no_matter_of_job(name)) continue;
        if (!assign_param_name(name_, name) || name_ == "HTTP_PROXY") continue;
        const bool again =
            std::any_of(request.fields.begin(), request.fields.begin() + static_cast<std::ptrdiff_t>(at),
                        [&](const http::Field& before) {
                            return http::equals_ignore_case(request.view(before.name), name);
                        });
        if (!again) add(out, name_, joined(request, at));
    }
}

/// The values of a field and of all later ones of its name, as one list (RFC 9110 5.3, RFC 6265 5.4).
std::string_view CgiParams::joined(const http::Request& request, std::size_t at) {
    const std::string_view name = request.view(request.fields[at].name);
    const std::string_view first = request.view(request.fields[at].value);
    const std::string_view between = http::equals_ignore_case(name, "cookie") ? "; " : ", ";
    bool several = false;
    for (std::size_t next = at + 1; next < request.fields.size(); ++next) {
        if (!http::equals_ignore_case(request.view(request.fields[next].name), name)) continue;
        if (!several) value_.assign(first);
        several = true;
        value_.append(between).append(request.view(request.fields[next].value));
    }
    return several ? std::string_view(value_) : first;
}

bool CgiParams::is_own(std::string_view name) const noexcept {
    return std::any_of(own_.begin(), own_.end(), [name](const Own& own) { return own.name == name; });
}

}  // namespace worker::handler
