#include "worker/handler/text_template.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <iterator>

namespace worker::handler {
namespace {

void append_html(std::string& out, char c) {
    switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\'': out += "&#39;"; break;
        default: out += c;
    }
}

void append_json(std::string& out, char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
        out.append(1, '\\').append(1, c);
    } else if (byte < 0x20 || byte == 0x7f) {
        out += fmt::format("\\u{:04x}", byte);
    } else {
        out += c;
    }
}

/// What may stand in a path as it is: RFC 3986 3.3, without what an HTML attribute would trip over.
bool plain_in_path(unsigned char byte) {
    constexpr std::string_view marks = "-._~/!$()*+,;=:@";
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           marks.find(static_cast<char>(byte)) != std::string_view::npos;
}

void append_uri(std::string& out, char c) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    if (plain_in_path(byte)) {
        out += c;
    } else {
        out.append(1, '%').append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
    }
}

}  // namespace

void append_escaped(std::string& out, std::string_view text, Escape escape) {
    switch (escape) {
        case Escape::none: out += text; return;
        case Escape::html:
            for (const char c : text) append_html(out, c);
            return;
        case Escape::json:
            for (const char c : text) append_json(out, c);
            return;
        case Escape::uri:
            for (const char c : text) append_uri(out, c);
            return;
    }
}

TextTemplate::TextTemplate(std::string_view text, Escape escape) : escape_(escape) {
    auto split = conf::split_text(text);
    if (!split) std::abort();
    split_ = std::move(*split);
}

void TextTemplate::append(std::string& out, const http::Exchange& exchange, const Facts& facts,
                          const execution::Clock& clock) const {
    out += split_.text;
    for (const conf::TextPiece& piece : split_.pieces) {
        append_value(out, piece.variable, exchange, facts, clock);
        out += piece.text;
    }
}

void TextTemplate::append_value(std::string& out, conf::TextVariable variable, const http::Exchange& exchange,
                                const Facts& facts, const execution::Clock& clock) const {
    using conf::TextVariable;
    const http::Request& request = exchange.request;
    const http::Target& target = request.target;
    const auto number = [&out](auto value) { fmt::format_to(std::back_inserter(out), "{}", value); };
    // In a URI only the path was decoded; the other parts are as they came, and valid there.
    const auto sent = [&](std::string_view text) {
        append_escaped(out, text, escape_ == Escape::uri ? Escape::none : escape_);
    };
    connection::Peer::Text room{};
    switch (variable) {
        case TextVariable::args: return sent(target.query);
        case TextVariable::connection: return number(exchange.connection_id);
        case TextVariable::connection_requests: return number(exchange.connection_requests);
        case TextVariable::host:
            return sent(request.host.empty() && exchange.server != nullptr && !exchange.server->hosts.empty()
                            ? std::string_view(exchange.server->hosts.front())
                            : request.host);
        case TextVariable::is_args: out += target.query.empty() ? "" : "?"; return;
        case TextVariable::msec:
            fmt::format_to(std::back_inserter(out), "{}.{:03}", clock.unix_ms() / 1000,
                           clock.unix_ms() % 1000);
            return;
        case TextVariable::path:
        case TextVariable::uri: return append_escaped(out, target.path, escape_);
        case TextVariable::pid: return number(facts.pid);
        case TextVariable::remote_addr: out += exchange.peer.text(room); return;
        case TextVariable::remote_port: return number(exchange.peer.port());
        case TextVariable::request_method: return sent(request.method());
        case TextVariable::request_uri: return sent(request.raw_target());
        case TextVariable::scheme: out += exchange.secure ? "https" : "http"; return;
        case TextVariable::server_name:
            if (exchange.server != nullptr) out += exchange.server->name;
            return;
        case TextVariable::version: out += REEVE_VERSION; return;
        case TextVariable::worker: return number(facts.slot);
    }
    std::abort();
}

}  // namespace worker::handler
