#include "worker/observe/access_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <utility>

#include "worker/observe/escape.h"

namespace worker::observe {

namespace {

using conf::LogVariable;

template <std::integral Number>
void append_number(std::string& out, Number number) {
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out.append(digits.data(), static_cast<std::size_t>(end.ptr - digits.data()));
}

/// "12.003": whole units and as many places as `scale` has zeros.
void append_fraction(std::string& out, std::uint64_t value, std::uint64_t scale) {
    append_number(out, value / scale);
    out.push_back('.');
    for (std::uint64_t place = scale / 10; place > 0; place /= 10)
        out.push_back(static_cast<char>('0' + value / place % 10));
}

/// A value that may be missing: "-" then.
void append_value(std::string& out, std::string_view value) {
    if (value.empty()) return out.push_back('-');
    append_escaped(out, value);
}

/// The request line as it was received.
void append_request(std::string& out, const AccessRecord& record) {
    if (record.method.empty()) return out.push_back('-');
    append_escaped(out, record.method);
    out.push_back(' ');
    append_escaped(out, record.target);
    if (record.protocol.empty()) return;
    out.push_back(' ');
    append_escaped(out, record.protocol);
}

/// What each try says, "a, b : c": a comma between those of one call, a colon before another call.
template <class Append>
void append_tries(std::string& out, const AccessRecord& record, Append append) {
    if (record.tries == nullptr || record.tries->empty()) return out.push_back('-');
    bool first = true;
    for (const http::Try& one : *record.tries) {
        if (!std::exchange(first, false)) out.append(one.apart ? " : " : ", ");
        append(one);
    }
}

void append_times(std::string& out, const AccessRecord& record, std::uint64_t http::Try::*time) {
    append_tries(out, record, [&](const http::Try& one) {
        if (one.*time == http::Try::never) return out.push_back('-');
        append_fraction(out, one.*time, 1'000'000);
    });
}

void append_variable(std::string& out, LogVariable variable, const AccessRecord& record,
                     const LogClock& clock) {
    switch (variable) {
        case LogVariable::remote_addr: return append_value(out, record.client);
        case LogVariable::remote_port: return append_number(out, record.client_port);
        case LogVariable::remote_user: return out.push_back('-');
        case LogVariable::time_local: out.append(clock.local()); return;
        case LogVariable::time_iso8601: out.append(clock.iso8601()); return;
        case LogVariable::msec: return append_fraction(out, clock.unix_ms(), 1000);
        case LogVariable::request: return append_request(out, record);
        case LogVariable::request_method: return append_value(out, record.method);
        case LogVariable::request_uri: return append_value(out, record.target);
        case LogVariable::server_protocol: return append_value(out, record.protocol);
        case LogVariable::host: return append_value(out, record.host);
        case LogVariable::status: return append_number(out, record.status);
        case LogVariable::body_bytes_sent: return append_number(out, record.body_bytes);
        case LogVariable::bytes_sent: return append_number(out, record.bytes_sent);
        case LogVariable::request_length: return append_number(out, record.bytes_received);
        case LogVariable::request_time: return append_fraction(out, record.request_time_us, 1'000'000);
        case LogVariable::connection: return append_number(out, record.connection);
        case LogVariable::connection_requests: return append_number(out, record.connection_requests);
        case LogVariable::worker: return append_number(out, clock.worker());
        case LogVariable::pid: return append_number(out, clock.pid());
        case LogVariable::server_name: return append_value(out, record.server);
        case LogVariable::route: return append_value(out, record.route);
        case LogVariable::http_referer: return append_value(out, record.referer);
        case LogVariable::http_user_agent: return append_value(out, record.user_agent);
        case LogVariable::http_range: return append_value(out, record.range);
        case LogVariable::http_x_forwarded_for: return append_value(out, record.forwarded_for);
        case LogVariable::upstream_addr:
            return append_tries(out, record, [&](const http::Try& one) { append_value(out, one.peer); });
        case LogVariable::upstream_status:
            return append_tries(out, record, [&](const http::Try& one) {
                if (one.status == 0) return out.push_back('-');
                append_number(out, one.status);
            });
        case LogVariable::upstream_connect_time: return append_times(out, record, &http::Try::connect_us);
        case LogVariable::upstream_header_time: return append_times(out, record, &http::Try::header_us);
        case LogVariable::upstream_response_time: return append_times(out, record, &http::Try::response_us);
    }
}

/// Writes the pieces of a line into memory that is large enough for all of them.
class LineCursor {
 public:
    LineCursor(char* at, bool escapes) noexcept : at_(at), escapes_(escapes) {}

    void text(std::string_view text) noexcept { at_ = std::copy(text.begin(), text.end(), at_); }
    void number(std::uint64_t number) noexcept { at_ = std::to_chars(at_, at_ + digits_max, number).ptr; }
    void sent(std::string_view value) noexcept {
        if (escapes_) {
            at_ = write_escaped(at_, value);
        } else {
            text(value);
        }
    }
    void value(std::string_view value) noexcept { sent(value.empty() ? "-" : value); }
    [[nodiscard]] const char* at() const noexcept { return at_; }

    static constexpr std::ptrdiff_t digits_max = 20;

 private:
    char* at_;
    bool escapes_;  ///< some value needs one: look at each byte
};

/// The format of nearly every log: room is made once, then the line is written without a further check.
void append_combined(std::string& out, const AccessRecord& record, const LogClock& clock) {
    std::size_t room = 128;  // what is not sent by the client
    std::size_t escapes = 0;
    for (const auto text :
         {record.client, record.method, record.target, record.protocol, record.referer, record.user_agent}) {
        room += text.size();
        escapes += count_escapes(text);
    }
    const std::size_t before = out.size();
    out.resize(before + room + 3 * escapes);

    LineCursor line(out.data() + before, escapes > 0);
    line.value(record.client);
    line.text(" - - [");
    line.text(clock.local());
    line.text("] \"");
    line.value(record.method);
    if (!record.method.empty()) {
        line.text(" ");
        line.sent(record.target);
        if (!record.protocol.empty()) line.text(" ");
        line.sent(record.protocol);
    }
    line.text("\" ");
    line.number(record.status);
    line.text(" ");
    line.number(record.body_bytes);
    line.text(" \"");
    line.value(record.referer);
    line.text("\" \"");
    line.value(record.user_agent);
    line.text("\"\n");
    out.resize(static_cast<std::size_t>(line.at() - out.data()));
}

/// Keys are the names of the variables; `key` begins with what separates it from the value before.
void append_json(std::string& out, const AccessRecord& record, const LogClock& clock) {
    const auto text = [&](std::string_view key, std::string_view value) {
        out.append(key).push_back('"');
        append_json_escaped(out, value);
        out.push_back('"');
    };
    const auto number = [&](std::string_view key, std::integral auto value) {
        out.append(key);
        append_number(out, value);
    };
    text("{\"time_iso8601\":", clock.iso8601());
    out.append(",\"msec\":");
    append_fraction(out, clock.unix_ms(), 1000);
    text(",\"remote_addr\":", record.client);
    number(",\"remote_port\":", record.client_port);
    text(",\"request_method\":", record.method);
    text(",\"request_uri\":", record.target);
    text(",\"server_protocol\":", record.protocol);
    text(",\"host\":", record.host);
    number(",\"status\":", record.status);
    number(",\"body_bytes_sent\":", record.body_bytes);
    number(",\"bytes_sent\":", record.bytes_sent);
    number(",\"request_length\":", record.bytes_received);
    out.append(",\"request_time\":");
    append_fraction(out, record.request_time_us, 1'000'000);
    number(",\"connection\":", record.connection);
    number(",\"connection_requests\":", record.connection_requests);
    out.append(record.keep_alive ? ",\"keep_alive\":true" : ",\"keep_alive\":false");
    number(",\"worker\":", clock.worker());
    number(",\"pid\":", clock.pid());
    text(",\"server_name\":", record.server);
    text(",\"route\":", record.route);
    text(",\"http_referer\":", record.referer);
    text(",\"http_user_agent\":", record.user_agent);
    text(",\"http_range\":", record.range);
    text(",\"http_x_forwarded_for\":", record.forwarded_for);
    out.append("}\n");
}

}  // namespace

tl::expected<AccessFormat, std::string> AccessFormat::compile(std::string_view format) {
    if (format == "combined") return AccessFormat(Kind::combined, {});
    if (format == "json") return AccessFormat(Kind::json, {});
    return conf::split_log_format(format).map(
        [](conf::LogTemplate split) { return AccessFormat(Kind::text, std::move(split)); });
}

void AccessFormat::append(std::string& out, const AccessRecord& record, const LogClock& clock) const {
    switch (kind_) {
        case Kind::combined: return append_combined(out, record, clock);
        case Kind::json: return append_json(out, record, clock);
        case Kind::text: break;
    }
    out.append(format_.text);
    for (const auto& piece : format_.pieces) {
        append_variable(out, piece.variable, record, clock);
        out.append(piece.text);
    }
    out.push_back('\n');
}

}  // namespace worker::observe
