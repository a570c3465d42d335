#include "worker/http/response_parser.h"

#include <cstring>

#include "worker/http/host.h"
#include "worker/http/list.h"
#include "worker/http/plain_head.h"
#include "worker/http/scan.h"

namespace worker::http {
namespace {

constexpr std::uint64_t response_framing_bytes_max =
    64 * 1024;  // of chunk sizes and trailers, beyond 8 a byte
constexpr int proceed = 0;

/// RFC 9110 6.5.1: what frames or routes a message, or belongs to the connection, comes before its body.
bool may_trail(Known known) noexcept {
    switch (known) {
        case Known::connection:
        case Known::content_length:
        case Known::host:
        case Known::keep_alive:
        case Known::proxy_connection:
        case Known::te:
        case Known::trailer:
        case Known::transfer_encoding:
        case Known::upgrade: return false;
        default: return true;
    }
}

/// "HTTP/1.x 200" and a reason (RFC 9112 4) or none: where the fields begin; 0: it is no clean status line.
std::size_t after_status_line(std::string_view head) noexcept {
    constexpr std::size_t reason_at = sizeof "HTTP/1.1 200" - 1;
    if (head.size() < reason_at + 2 || !head.starts_with("HTTP/1.") || head[8] != ' ') return 0;
    if (head[reason_at] != ' ' && head[reason_at] != '\r') return 0;
    const char* const line_end = skip_text(head.data() + reason_at, head.data() + head.size());
    const auto end = static_cast<std::size_t>(line_end - head.data());
    return head.substr(end, 2) == "\r\n" ? end + 2 : 0;
}

}  // namespace

/// llhttp's view of a parser; `data` is ours.
struct ResponseCallbacks {
    static ResponseParser& self(llhttp_t* machine) { return *static_cast<ResponseParser*>(machine->data); }

    static int on_header_field(llhttp_t* machine, const char* at, std::size_t size) {
        ResponseParser& parser = self(machine);
        if (!parser.in_head_) return parser.extend_trailer(parser.trailer_name_, {at, size});
        const auto start = static_cast<std::uint32_t>(at - parser.base_);
        if (parser.field_.name.size == 0) parser.field_.name.at = start;
        parser.field_.name.size = start + static_cast<std::uint32_t>(size) - parser.field_.name.at;
        return proceed;
    }
    static int on_header_value(llhttp_t* machine, const char* at, std::size_t size) {
        ResponseParser& parser = self(machine);
        if (!parser.in_head_) return parser.extend_trailer(parser.trailer_value_, {at, size});
        const auto start = static_cast<std::uint32_t>(at - parser.base_);
        Span& value = parser.field_.value;
        if (parser.in_value_ && start != value.at + value.size) parser.folded_ = true;
        if (!parser.in_value_) value = {start, 0};
        value.size = start + static_cast<std::uint32_t>(size) - value.at;
        parser.in_value_ = true;
        return proceed;
    }
    static int on_header_value_complete(llhttp_t* machine) {
        ResponseParser& parser = self(machine);
        if (!parser.in_head_) return parser.end_trailer();
        Field& field = parser.field_;
        while (field.value.size > 0) {
            const char last = parser.base_[field.value.at + field.value.size - 1];
            if (last != ' ' && last != '\t') break;
            --field.value.size;
        }
        field.known = known_field({parser.base_ + field.name.at, field.name.size});
        if (!parser.head_->add(field)) parser.too_many_ = true;
        field = {};
        parser.in_value_ = false;
        return parser.too_many_ ? HPE_USER : proceed;
    }
    static int on_headers_complete(llhttp_t* machine) {
        self(machine).in_head_ = false;
        return HPE_PAUSED;
    }
    static int on_message_complete(llhttp_t*) { return HPE_PAUSED; }
    static int on_body(llhttp_t* machine, const char* at, std::size_t size) {
        ResponseParser& parser = self(machine);
        parser.body_bytes_ += size;
        parser.payload_.emplace_back(at, size);
        parser.lines_.payload(at, size);
        return proceed;
    }

    static const llhttp_settings_t& settings() {
        static const llhttp_settings_t all = [] {
            llhttp_settings_t made;
            llhttp_settings_init(&made);
            made.on_header_field = &ResponseCallbacks::on_header_field;
            made.on_header_value = &ResponseCallbacks::on_header_value;
            made.on_header_value_complete = &ResponseCallbacks::on_header_value_complete;
            made.on_headers_complete = &ResponseCallbacks::on_headers_complete;
            made.on_message_complete = &ResponseCallbacks::on_message_complete;
            made.on_body = &ResponseCallbacks::on_body;
            return made;
        }();
        return all;
    }
};

void ResponseParser::reset(ResponseHead& head, bool bodiless, std::uint64_t head_max) noexcept {
    head_ = &head;
    head.clear();
    head.status = 0;
    head_max_ = head_max;
    bodiless_ = bodiless;
    field_ = {};
    seen_ = 0;
    content_length_ = framing_bytes_ = body_bytes_ = 0;
    framing_ = Framing::none;
    complaint_ = {};
    payload_.clear();
    lines_.reset();
    trailers_.clear();
    trailer_name_.clear();
    trailer_value_.clear();
    in_head_ = true;
    in_value_ = folded_ = too_many_ = keep_alive_ = false;
}

void ResponseParser::begin_machine() noexcept {
    llhttp_init(&machine_, HTTP_RESPONSE, &ResponseCallbacks::settings());
    machine_.data = this;
    head_->clear();
    head_->status = 0;
    content_length_ = 0;
}

Parsed ResponseParser::head(std::span<const char> bytes) noexcept {
    if (bytes.size() <= seen_) return Parsed::more;
    if (seen_ == 0) {
        if (plain_head({bytes.data(), bytes.size()})) return Parsed::head;
        begin_machine();
    }
    base_ = bytes.data();
    head_->head = base_;
    const std::span<const char> fresh = bytes.subspan(seen_);
    const llhttp_errno error = llhttp_execute(&machine_, fresh.data(), fresh.size());
    if (error == HPE_OK) {
        seen_ = bytes.size();
        return seen_ < head_max_ ? Parsed::more : refuse("its header is too large");
    }
    if (too_many_) return refuse("its header has too many fields");
    if (error != HPE_PAUSED || in_head_) return refuse("its header is malformed");
    seen_ = static_cast<std::size_t>(llhttp_get_error_pos(&machine_) - base_);
    head_->head_size = static_cast<std::uint32_t>(seen_);
    head_->minor = machine_.http_minor;
    head_->status = machine_.status_code;
    if (seen_ > head_max_) return refuse("its header is too large");
    if (const auto wrong = check_head(); !wrong.empty()) return refuse(wrong);
    find_framing();
    return Parsed::head;
}

/// What llhttp lets pass and we do not; empty: nothing.
std::string_view ResponseParser::check_head() const noexcept {
    const ResponseHead& head = *head_;
    if (machine_.http_major != 1 || head.minor > 1) return "its version is not HTTP/1";
    if (head.status < 100 || head.status > 599) return "its status is none";
    const std::size_t fields_at = after_status_line({head.head, head.head_size});
    if (fields_at == 0 || folded_ || !fields_are_clean(head, fields_at) || !names_are_tokens(head))
        return "its header is malformed";
    if (head.has(Known::transfer_encoding)) {
        if (head.has(Known::content_length) || head.minor == 0) return "its framing is ambiguous";
        if (head.count(Known::transfer_encoding) != 1 ||
            !equals_ignore_case(head.value(Known::transfer_encoding), "chunked"))
            return "its transfer coding is not chunked";
    }
    if (head.count(Known::content_length) > 1) return "its framing is ambiguous";
    return {};
}

/// Takes a whole head that is clean, final, and neither chunked nor otherwise special; what it takes, llhttp
/// and `check_head` would have taken, and understood alike. False: it is not for us to judge.
bool ResponseParser::plain_head(std::string_view bytes) noexcept {
    const std::size_t fields_at = after_status_line(bytes);
    if (fields_at == 0 || (bytes[7] != '0' && bytes[7] != '1')) return false;
    for (std::size_t at = 9; at < 12; ++at)
        if (bytes[at] < '0' || bytes[at] > '9') return false;
    ResponseHead& head = *head_;
    head.head = bytes.data();
    head.minor = static_cast<std::uint8_t>(bytes[7] - '0');
    head.status = static_cast<Status>((bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0'));
    if (head.status < 200 || head.status > 599) return false;
    std::size_t at = fields_at;
    while (at < bytes.size() && bytes[at] != '\r') {
        Field field;
        if (!read_field(bytes, at, field) || !note_plain(field) || !head.add(field)) return false;
    }
    if (bytes.substr(at, 2) != "\r\n" || at + 2 > head_max_) return false;
    seen_ = at + 2;
    head.head_size = static_cast<std::uint32_t>(seen_);
    in_head_ = false;
    const std::string_view connection = head.value(Known::connection);
    find_framing(false, head.has(Known::content_length), equals_ignore_case(connection, "close"),
                 equals_ignore_case(connection, "keep-alive"));
    return true;
}

/// What a field says of framing and connection; false where it says anything out of the ordinary.
bool ResponseParser::note_plain(const Field& field) noexcept {
    // Behind a length llhttp takes spaces alone: whoever has white space there is for it to judge.
    const bool ends_line = head_->head[field.value.at + field.value.size] == '\r';
    switch (field.known) {
        case Known::transfer_encoding:
        case Known::proxy_connection:
        case Known::upgrade: return false;
        case Known::connection: {
            const std::string_view says = head_->view(field.value);
            return ends_line && !head_->has(Known::connection) &&
                   (equals_ignore_case(says, "keep-alive") || equals_ignore_case(says, "close"));
        }
        case Known::content_length: {
            constexpr std::size_t digits_max = 18;  // of a number that fits in any case
            const std::string_view digits = head_->view(field.value);
            if (!ends_line || head_->has(Known::content_length) || digits.empty() ||
                digits.size() > digits_max)
                return false;
            std::uint64_t length = 0;
            for (const char c : digits) {
                if (c < '0' || c > '9') return false;
                length = length * 10 + static_cast<std::uint64_t>(c - '0');
            }
            content_length_ = length;
            return true;
        }
        default: return true;
    }
}

void ResponseParser::find_framing() noexcept {
    const auto flag = [this](int which) { return (machine_.flags & which) != 0; };
    if (flag(F_CONTENT_LENGTH)) content_length_ = machine_.content_length;
    find_framing(flag(F_CHUNKED), flag(F_CONTENT_LENGTH), flag(F_CONNECTION_CLOSE),
                 flag(F_CONNECTION_KEEP_ALIVE));
}

/// RFC 9112 6.3, 9.3.
void ResponseParser::find_framing(bool chunked, bool has_length, bool says_close, bool says_keep) noexcept {
    const Status status = head_->status;
    if (bodiless_ || status < 200 || status == 204 || status == 304) {
        framing_ = Framing::none;
    } else if (chunked) {
        framing_ = Framing::chunked;
    } else if (has_length) {
        framing_ = content_length_ > 0 ? Framing::length : Framing::none;
    } else {
        framing_ = Framing::until_end;
    }
    keep_alive_ = framing_ != Framing::until_end && !says_close && (head_->minor >= 1 || says_keep);
}

int ResponseParser::extend_trailer(std::string& part, std::string_view bytes) {
    part.append(bytes);
    too_many_ = trailers_.size() + trailer_name_.size() + trailer_value_.size() > head_max_;
    return too_many_ ? HPE_USER : proceed;
}

int ResponseParser::end_trailer() {
    if (!is_token(trailer_name_)) return HPE_USER;
    if (may_trail(known_field(trailer_name_)))
        trailers_.append(trailer_name_).append(": ").append(trim(trailer_value_)).append("\r\n");
    trailer_name_.clear();
    trailer_value_.clear();
    return proceed;
}

Parsed ResponseParser::body(std::span<const char> bytes, std::size_t& taken) {
    payload_.clear();
    if (bytes.empty()) return Parsed::more;
    if (llhttp_get_errno(&machine_) == HPE_PAUSED) llhttp_resume(&machine_);
    const std::uint64_t payload_before = body_bytes_;
    lines_.begin(bytes.data());
    const llhttp_errno error = llhttp_execute(&machine_, bytes.data(), bytes.size());
    const bool complete = error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE;
    if (too_many_) return refuse("its trailers are too large");
    if (error != HPE_OK && !complete) return refuse("its chunks are malformed");
    const std::size_t used =
        complete ? static_cast<std::size_t>(llhttp_get_error_pos(&machine_) - bytes.data()) : bytes.size();
    lines_.end(bytes.data() + used);
    if (lines_.loose()) return refuse("its chunks are malformed");
    taken += used;
    framing_bytes_ += used - (body_bytes_ - payload_before);
    if (framing_bytes_ > response_framing_bytes_max + 8 * body_bytes_)
        return refuse("its chunks are malformed");
    return complete ? Parsed::complete : Parsed::more;
}

}  // namespace worker::http
