#include "worker/http/parser.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "worker/http/host.h"
#include "worker/http/plain_head.h"

namespace worker::http {
namespace {

constexpr std::uint64_t framing_bytes_max =
    64 * 1024;  // of chunk sizes, extensions, trailers, beyond 8 a byte
constexpr int go_on = 0;

/// Empty lines may stand before a request (RFC 9112 2.2).
std::string_view after_empty_lines(std::string_view head) noexcept {
    while (head.starts_with("\r\n")) head.remove_prefix(2);
    return head;
}

/// method SP target SP version CR LF, with just these spaces (RFC 9112 3).
bool request_line_is_clean(const Request& request) noexcept {
    const std::string_view head(request.head, request.head_size);
    const std::size_t target = request.target_span.at;
    const std::size_t version = target + request.target_span.size + 1;
    return after_empty_lines(head).data() == head.data() + request.method_span.at &&
           request.method_span.at + request.method_span.size + 1 == target && head[target - 1] == ' ' &&
           head[version - 1] == ' ' && head.substr(version, 5) == "HTTP/" &&
           head.substr(version + 8, 2) == "\r\n";
}

/// Where the fields begin, behind a clean request line.
std::size_t fields_begin(const Request& request) noexcept {
    return request.target_span.at + request.target_span.size + sizeof " HTTP/1.1\r\n" - 1;
}

}  // namespace

/// llhttp's view of a parser; `data` is ours.
struct Callbacks {
    static Parser& self(llhttp_t* machine) { return *static_cast<Parser*>(machine->data); }

    /// Begins or lengthens a span: the machine tells a token in pieces where its input was cut.
    static void extend(const Parser& parser, Span& span, bool first, const char* at, std::size_t size) {
        const auto start = static_cast<std::uint32_t>(at - parser.base_);
        if (first) span = {start, 0};
        span.size = start + static_cast<std::uint32_t>(size) - span.at;
    }

    static int on_method(llhttp_t* machine, const char* at, std::size_t size) {
        Parser& parser = self(machine);
        extend(parser, parser.request_->method_span, parser.request_->method_span.size == 0, at, size);
        return go_on;
    }
    static int on_url(llhttp_t* machine, const char* at, std::size_t size) {
        Parser& parser = self(machine);
        extend(parser, parser.request_->target_span, parser.request_->target_span.size == 0, at, size);
        return go_on;
    }
    static int on_header_field(llhttp_t* machine, const char* at, std::size_t size) {
        Parser& parser = self(machine);
        if (!parser.in_head_) return go_on;  // trailers: nobody here asks for them
        extend(parser, parser.field_.name, parser.field_.name.size == 0, at, size);
        return go_on;
    }
    static int on_header_value(llhttp_t* machine, const char* at, std::size_t size) {
        Parser& parser = self(machine);
        if (!parser.in_head_) return go_on;
        const auto start = static_cast<std::uint32_t>(at - parser.base_);
        const Span& value = parser.field_.value;
        // A gap inside a value is a folded line.
        if (parser.in_value_ && start != value.at + value.size) parser.folded_ = true;
        extend(parser, parser.field_.value, !parser.in_value_, at, size);
        parser.in_value_ = true;
        return go_on;
    }
    static int on_header_value_complete(llhttp_t* machine) {
        Parser& parser = self(machine);
        if (!parser.in_head_) return go_on;
        Field& field = parser.field_;
        const char* base = parser.base_;
        while (field.value.size > 0) {  // optional white space at the end is no part of it
            const char last = base[field.value.at + field.value.size - 1];
            if (last != ' ' && last != '\t') break;
            --field.value.size;
        }
        field.known = known_field({base + field.name.at, field.name.size});
        if (!parser.request_->add(field)) parser.too_many_ = true;
        field = {};
        parser.in_value_ = false;
        return parser.too_many_ ? HPE_USER : go_on;
    }
    static int on_headers_complete(llhttp_t* machine) {
        Parser& parser = self(machine);
        parser.in_head_ = false;
        parser.chunked_ = (machine->flags & F_CHUNKED) != 0;
        parser.content_length_ = machine->content_length;
        parser.has_body_ = parser.chunked_ || parser.content_length_ > 0;
        parser.keep_alive_ = llhttp_should_keep_alive(machine) != 0;
        return parser.has_body_ ? HPE_PAUSED : go_on;
    }
    static int on_message_complete(llhttp_t*) { return HPE_PAUSED; }
    static int on_body(llhttp_t* machine, const char* at, std::size_t size) {
        Parser& parser = self(machine);
        parser.body_bytes_ += size;
        parser.payload_.emplace_back(at, size);
        if (parser.chunked_) parser.lines_.payload(at, size);
        return go_on;
    }

    static const llhttp_settings_t& settings() {
        static const llhttp_settings_t all = [] {
            llhttp_settings_t made;
            llhttp_settings_init(&made);
            made.on_method = &Callbacks::on_method;
            made.on_url = &Callbacks::on_url;
            made.on_header_field = &Callbacks::on_header_field;
            made.on_header_value = &Callbacks::on_header_value;
            made.on_header_value_complete = &Callbacks::on_header_value_complete;
            made.on_headers_complete = &Callbacks::on_headers_complete;
            made.on_message_complete = &Callbacks::on_message_complete;
            made.on_body = &Callbacks::on_body;
            return made;
        }();
        return all;
    }
};

void Parser::reset(Request& request, std::uint64_t head_max, std::uint64_t uri_max) noexcept {
    request_ = &request;
    head_max_ = head_max;
    uri_max_ = uri_max;
    seen_ = 0;
    content_length_ = body_bytes_ = framing_bytes_ = 0;
    lines_.reset();
    refusal_ = 400;
    in_head_ = true;
    has_body_ = in_value_ = folded_ = keep_alive_ = chunked_ = too_many_ = false;
}

Parsed Parser::head(std::span<const char> bytes) noexcept {
    if (bytes.size() <= seen_) return Parsed::more;
    if (seen_ == 0) {
        if (plain_head(bytes)) return Parsed::complete;
        llhttp_init(&machine_, HTTP_REQUEST, &Callbacks::settings());
        machine_.data = this;
        field_ = {};
    }
    base_ = bytes.data();
    request_->head = base_;
    const std::span<const char> fresh = bytes.subspan(seen_);
    const llhttp_errno error = llhttp_execute(&machine_, fresh.data(), fresh.size());
    if (error == HPE_OK) {
        seen_ = bytes.size();
        return over_limit(bytes.size());
    }
    if (error == HPE_INVALID_METHOD && is_token(after_empty_lines({bytes.data(), bytes.size()}))) {
        seen_ = bytes.size();  // no method we know; what it is, a method or none, its end will say
        return over_limit(bytes.size());
    }
    const bool stopped = error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE;
    if (!stopped || in_head_) return refuse(explain(error, bytes));
    return finish_head(static_cast<std::size_t>(llhttp_get_error_pos(&machine_) - base_), !has_body_);
}

/// Whether it is one of those that need no parser; then it is read.
bool Parser::plain_head(std::span<const char> bytes) noexcept {
    Request& request = *request_;
    const PlainHead plain = read_plain_head({bytes.data(), bytes.size()}, request);
    if (plain.size == 0) return false;
    if (plain.size > head_max_ || request.target_span.size > uri_max_ ||
        !host_is_valid(request.value(Known::host))) {
        request.clear();
        return false;
    }
    request.head_size = static_cast<std::uint32_t>(plain.size);
    seen_ = plain.size;
    keep_alive_ = plain.keep_alive;
    in_head_ = false;
    return true;
}

Parsed Parser::over_limit(std::size_t size) noexcept {
    if (request_->target_span.size > uri_max_) return refuse(414);
    if (size < head_max_) return Parsed::more;
    const bool in_target = request_->fields.empty() && field_.name.size == 0;
    return refuse(in_target && request_->target_span.size > 0 ? 414 : 431);
}

Parsed Parser::finish_head(std::size_t size, bool complete) noexcept {
    request_->head_size = static_cast<std::uint32_t>(size);
    request_->minor = machine_.http_minor;
    seen_ = size;
    if (request_->target_span.size > uri_max_) return refuse(414);
    if (size > head_max_) return refuse(431);
    if (const Status wrong = check_head(); wrong != 0) return refuse(wrong);
    return complete ? Parsed::complete : Parsed::head;
}

/// What llhttp lets pass and we do not; 0: nothing.
Status Parser::check_head() noexcept {
    const Request& request = *request_;
    if (machine_.method == HTTP_CONNECT) return 501;  // whatever follows is not for us to take apart
    if (machine_.http_major != 1 || machine_.http_minor > 1) return 505;
    if (folded_ || !request_line_is_clean(request) || !fields_are_clean(request, fields_begin(request)) ||
        !names_are_tokens(request))
        return 400;
    if (request.has(Known::transfer_encoding)) {
        if (request.has(Known::content_length) || request.minor == 0) return 400;
        if (request.count(Known::transfer_encoding) != 1) return 400;
        if (!equals_ignore_case(request.value(Known::transfer_encoding), "chunked")) return 501;
    }
    const std::size_t hosts = request.count(Known::host);
    if (hosts > 1 || (hosts == 0 && request.minor == 1)) return 400;
    return host_is_valid(request.value(Known::host)) ? 0 : 400;
}

/// Nearly all requests name the host that the one before them named.
bool Parser::host_is_valid(std::string_view host) noexcept {
    if (!host.empty() && host == std::string_view(host_before_.data(), host_before_size_)) return true;
    if (!valid_host(host)) return false;
    if (host.size() <= host_before_.size()) {
        host_before_size_ = host.copy(host_before_.data(), host_before_.size());
    }
    return true;
}

Status Parser::explain(llhttp_errno error, std::span<const char> bytes) const noexcept {
    if (too_many_) return 431;
    if (error == HPE_INVALID_VERSION || error == HPE_PAUSED_H2_UPGRADE) return 505;
    if (error == HPE_INVALID_METHOD) {
        const std::string_view line = after_empty_lines({bytes.data(), bytes.size()});
        const std::string_view method = line.substr(0, line.find(' '));
        // Whole and well-formed, but nothing we know: RFC 9110 9.1.
        if (method.size() < line.size() && is_token(method)) return 501;
    }
    return 400;
}

Parsed Parser::body(std::span<const char> bytes, std::size_t& taken) noexcept {
    payload_.clear();
    if (bytes.empty()) return Parsed::more;
    if (llhttp_get_errno(&machine_) == HPE_PAUSED) llhttp_resume(&machine_);
    const std::uint64_t payload_before = body_bytes_;
    lines_.begin(bytes.data());
    const llhttp_errno error = llhttp_execute(&machine_, bytes.data(), bytes.size());
    const bool complete = error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE;
    if (error != HPE_OK && !complete) return refuse(400);
    const std::size_t used =
        complete ? static_cast<std::size_t>(llhttp_get_error_pos(&machine_) - bytes.data()) : bytes.size();
    if (chunked_) lines_.end(bytes.data() + used);
    if (lines_.loose()) return refuse(400);
    taken += used;
    framing_bytes_ += used - (body_bytes_ - payload_before);
    if (framing_bytes_ > framing_bytes_max + 8 * body_bytes_) return refuse(400);
    return complete ? Parsed::complete : Parsed::more;
}

}  // namespace worker::http
