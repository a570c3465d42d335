#include "worker/handler/peer_request.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "worker/handler/head_block.h"
#include "worker/http/host.h"
#include "worker/http/list.h"

namespace worker::handler {
namespace {

using http::Known;

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Whether `raw`, decoded, is `path`: then nothing but escapes was changed by normalising it, and the peer
/// may see what the client wrote. Otherwise dots or slashes went, and the peer must not see a path that we
/// did not route.
bool only_escaped(std::string_view raw, std::string_view path) noexcept {
    std::size_t at = 0;
    for (std::size_t i = 0; i < raw.size(); ++i, ++at) {
        if (at == path.size()) return false;
        char c = raw[i];
        if (c == '%') {
            if (i + 2 >= raw.size()) return false;
            c = static_cast<char>(hex_value(raw[i + 1]) * 16 + hex_value(raw[i + 2]));
            i += 2;
        }
        if (c != path[at]) return false;
    }
    return at == path.size();
}

bool has_usual_body(std::string_view method) {
    return method == "POST" || method == "PUT" || method == "PATCH";
}

/// Whether a field is named by `Connection`, and so goes no further.
bool is_named(const http::Request& request, std::string_view connection, const http::Field& field) {
    return !connection.empty() && http::has_token(connection, request.view(field.name));
}

/// Job-Id and the like, as the keeper tells of a job, and what some programs take for it.
bool is_of_jobs(std::string_view name) noexcept {
    return name.size() > 3 && http::equals_ignore_case(name.substr(0, 3), "job") &&
           (name[3] == '-' || name[3] == '_');
}

}  // namespace

bool is_conditional(Known known) noexcept {
    switch (known) {
        case Known::if_match:
        case Known::if_modified_since:
        case Known::if_none_match:
        case Known::if_range:
        case Known::if_unmodified_since:
        case Known::range: return true;
        default: return false;
    }
}

bool is_no_matter_of_job(std::string_view name) noexcept {
    return is_of_jobs(name) || http::equals_ignore_case(name, "prefer") ||
           http::equals_ignore_case(name, "proxy-authorization");
}

PeerRequest::PeerRequest(const conf::Route& route, const Facts& facts, const execution::Clock& clock)
    : route_(route), facts_(facts), clock_(clock) {
    if (const auto& rewrite = route.proxy.rewrite; !rewrite.pattern.empty()) {
        rewrite_ = std::make_unique<re2::RE2>(rewrite.pattern, re2::RE2::Quiet);
    }
    for (const conf::Header& header : route.proxy.set_header)
        lines_.push_back({header.name, TextTemplate(header.value, Escape::none), header.value.empty()});
}

void PeerRequest::append(std::string& out, const http::Exchange& exchange, const Options& options) {
    const http::Request& request = exchange.request;
    const std::string_view authority =
        !request.target.authority.empty() ? request.target.authority : request.value(Known::host);
    append_line(out, exchange, options, authority);
    append_fields(out, request, options, exchange.error != 0);
    append_about(out, exchange, authority);
    for (const Line& line : lines_) {
        if (line.removes) continue;
        out.append(line.name).append(": ");
        const std::size_t begin = out.size();
        line.value.append(out, exchange, facts_, clock_);
        // A variable may hold what a client sent, and a path may decode to anything.
        std::replace_if(
            out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
            [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; }, ' ');
        out.append("\r\n");
    }
    if (!options.framed) append_framing(out, exchange);
    out.append("\r\n");
}

/// The request line, and Host.
void PeerRequest::append_line(std::string& out, const http::Exchange& exchange, const Options& options,
                              std::string_view authority) {
    std::string_view method = options.method;
    if (method.empty()) method = exchange.error != 0 ? "GET" : exchange.request.method();
    out.append(method).append(1, ' ');
    if (!options.target.empty()) {
        out.append(options.target);
    } else {
        append_target(out, exchange);
    }
    if (is_set("host")) {
        out.append(" HTTP/1.1\r\n");
        return;
    }
    const std::string_view host = authority.empty() ? options.host : authority;
    HeadBlock(out, 32 + host.size()) << " HTTP/1.1\r\nHost: " << host << "\r\n";
}

void PeerRequest::append_target(std::string& out, const http::Exchange& exchange) {
    const http::Request& request = exchange.request;
    bool queried = false;
    if (!rewrite_ || !append_rewritten(out, request, queried)) append_path(out, request);
    if (request.target.has_query && !(queried && request.target.query.empty()))
        out.append(queried ? "&" : "?").append(request.target.query);
}

/// False: the path does not match. Groups are escaped before they are put in: what a client wrote into its
/// path cannot begin a query, nor another parameter of one.
bool PeerRequest::append_rewritten(std::string& out, const http::Request& request, bool& queried) const {
    const std::string_view path = request.target.path;
    std::array<re2::StringPiece, 10> groups;
    const int count = std::min(1 + rewrite_->NumberOfCapturingGroups(), static_cast<int>(groups.size()));
    if (!rewrite_->Match({path.data(), path.size()}, 0, path.size(), re2::RE2::UNANCHORED, groups.data(),
                         count))
        return false;
    const auto begin = static_cast<std::size_t>(groups[0].data() - path.data());
    const std::string_view replacement = route_.proxy.rewrite.replacement;
    const std::size_t start = out.size();
    append_escaped(out, path.substr(0, begin), Escape::uri);
    for (std::size_t at = 0; at < replacement.size(); ++at) {
        const char c = replacement[at];
        if (c == '\\' && ++at < replacement.size() && replacement[at] != '\\') {
            const re2::StringPiece group = groups[static_cast<std::size_t>(replacement[at] - '0')];
            for (const char byte : std::string_view(group.data(), group.size())) {
                if (queried && byte == '+') {
                    out += "%2B";
                } else {
                    append_escaped(out, {&byte, 1}, Escape::uri);
                }
            }
            continue;
        }
        queried = queried || c == '?';
        append_escaped(out, {&c, 1}, c > ' ' && c < '\x7f' ? Escape::none : Escape::uri);
    }
    append_escaped(out, path.substr(begin + groups[0].size()), Escape::uri);
    if (out.size() == start || out[start] != '/') out.insert(start, 1, '/');
    return true;
}

void PeerRequest::append_path(std::string& out, const http::Request& request) const {
    std::string_view path = request.target.path;
    if (route_.strip_prefix && path.starts_with(route_.path.text)) {
        path.remove_prefix(route_.path.text.size());
        if (!path.starts_with('/')) out += '/';
        return append_escaped(out, path, Escape::uri);
    }
    std::string_view raw = request.origin_target();
    if (request.target.has_query) raw = raw.substr(0, raw.find('?'));
    if (raw == path || only_escaped(raw, path)) {
        out.append(raw);
    } else {
        append_escaped(out, path, Escape::uri);
    }
}

void PeerRequest::append_fields(std::string& out, const http::Request& request, const Options& options,
                                bool page) {
    const bool forwards_x = route_.proxy.forwarded == conf::ForwardedFields::x_forwarded ||
                            route_.proxy.forwarded == conf::ForwardedFields::both;
    const std::string_view connection(named_by_connection(request, room_));
    for (const http::Field& field : request.fields) {
        switch (field.known) {
            case Known::host:
            case Known::expect:
            case Known::via: continue;
            case Known::accept_encoding:
                if (options.plain) continue;
                break;
            case Known::forwarded:
                if (route_.proxy.forwarded != conf::ForwardedFields::x_forwarded &&
                    route_.proxy.forwarded != conf::ForwardedFields::off)
                    continue;
                break;
            case Known::x_forwarded_for:
            case Known::x_forwarded_host:
            case Known::x_forwarded_proto:
                if (forwards_x) continue;
                break;
            default:
                if (is_hop_by_hop(field.known)) continue;
                if ((options.plain || page) && is_conditional(field.known)) continue;
                break;
        }
        const std::string_view name = request.view(field.name);
        if (is_named(request, connection, field) || is_set(name)) continue;
        if (route_.hides_job_fields && is_of_jobs(name)) continue;
        if (options.of_job && is_no_matter_of_job(name)) continue;
        request.append_line(out, field);
    }
    out.append(options.more);
    if (options.upgrade)
        out.append("Connection: upgrade\r\nUpgrade: ").append(request.value(Known::upgrade)).append("\r\n");
}

/// Who asks, by whom it has come here, and under which number.
void PeerRequest::append_about(std::string& out, const http::Exchange& exchange, std::string_view host) {
    constexpr std::size_t names_max = 320;  // of all names, versions, schemes and numbers
    const http::Request& request = exchange.request;
    connection::Peer::Text text{};
    const std::string_view client = exchange.peer.text(text);
    std::size_t before = 0;
    for (const Known known : {Known::via, Known::x_forwarded_for, Known::forwarded})
        if (request.has(known)) before += request.joined(known, room_).size();
    HeadBlock block(out, names_max + before + 2 * (client.size() + host.size()));
    if (!is_set("via")) {
        block << "Via: ";
        write_before(block, request, Known::via);
        if (request.minor == 0) {
            block << "1.0 reeve\r\n";
        } else {
            block << "1.1 reeve\r\n";
        }
    }
    write_forwarded(block, exchange, client, host);
    write_ids(block, request);
}

/// What others before us have said; an empty field says nothing.
void PeerRequest::write_before(HeadBlock& block, const http::Request& request, Known known) {
    if (!request.has(known)) return;
    if (const auto before = request.joined(known, room_); !before.empty()) block << before << ", ";
}

void PeerRequest::write_forwarded(HeadBlock& block, const http::Exchange& exchange, std::string_view client,
                                  std::string_view host) {
    const http::Request& request = exchange.request;
    const auto how = route_.proxy.forwarded;
    if (how == conf::ForwardedFields::off) return;
    const std::string_view scheme = exchange.secure ? "https" : "http";
    if (how != conf::ForwardedFields::forwarded) {
        if (!is_set("x-forwarded-for")) {
            block << "X-Forwarded-For: ";
            write_before(block, request, Known::x_forwarded_for);
            block << client << "\r\n";
        }
        if (!is_set("x-forwarded-proto")) block << "X-Forwarded-Proto: " << scheme << "\r\n";
        if (!host.empty() && !is_set("x-forwarded-host")) block << "X-Forwarded-Host: " << host << "\r\n";
    }
    if (how == conf::ForwardedFields::x_forwarded || is_set("forwarded")) return;
    block << "Forwarded: ";
    write_before(block, request, Known::forwarded);
    // RFC 7239 6: IPv6 in brackets and quotes; who has no address is unknown.
    if (client == "unix:") {
        block << "for=unknown";
    } else if (client.find(':') != std::string_view::npos) {
        block << "for=\"[" << client << "]\"";
    } else {
        block << "for=" << client;
    }
    if (!host.empty()) block << ";host=\"" << host << "\"";
    block << ";proto=" << scheme << "\r\n";
}

/// A request that comes without either gets one number under both names.
void PeerRequest::write_ids(HeadBlock& block, const http::Request& request) {
    const bool wants_id =
        route_.proxy.request_id && !request.has(Known::x_request_id) && !is_set("x-request-id");
    const bool wants_trace = route_.proxy.trace && !request.has(Known::traceparent) && !is_set("traceparent");
    if (!wants_id && !wants_trace) return;
    const RandomIds::Number number = ids_.number();
    const std::string_view digits(number.data(), number.size());
    if (wants_id) block << "X-Request-Id: " << digits << "\r\n";
    if (!wants_trace) return;
    const RandomIds::Word span = ids_.next();
    block << "traceparent: 00-" << digits << "-" << std::string_view(span.data(), span.size()) << "-01\r\n";
}

void PeerRequest::append_framing(std::string& out, const http::Exchange& exchange) const {
    if (exchange.error != 0) return;
    if (exchange.body_length) {
        char digits[20];
        const char* end = std::to_chars(digits, digits + sizeof digits, *exchange.body_length).ptr;
        out.append("Content-Length: ").append(digits, static_cast<std::size_t>(end - digits)).append("\r\n");
    } else if (exchange.body_follows) {
        out.append("Transfer-Encoding: chunked\r\n");
    } else if (has_usual_body(exchange.request.method())) {
        out.append("Content-Length: 0\r\n");
    }
}

bool PeerRequest::is_among_lines(std::string_view name) const {
    return std::any_of(lines_.begin(), lines_.end(),
                       [name](const Line& line) { return http::equals_ignore_case(line.name, name); });
}

}  // namespace worker::handler
