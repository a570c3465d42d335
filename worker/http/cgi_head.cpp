#include "worker/http/cgi_head.h"

#include <algorithm>

#include "worker/http/host.h"
#include "worker/http/list.h"
#include "worker/http/plain_head.h"
#include "worker/http/scan.h"

namespace worker::http {
namespace {

constexpr std::string_view cgi_malformed = "its header is malformed";

bool is_decimal(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

void CgiHead::reset(ResponseHead& head, bool bodiless, std::uint64_t head_max) noexcept {
    head_ = &head;
    head.clear();
    head.status = 0;
    head_max_ = head_max;
    content_length_ = 0;
    line_at_ = seen_ = 0;
    complaint_ = {};
    framing_ = Framing::none;
    bodiless_ = bodiless;
    has_length_ = false;
}

Parsed CgiHead::head(std::string_view bytes) {
    head_->head = bytes.data();
    for (;;) {
        const std::size_t end = bytes.find('\n', seen_);
        if (std::min(end, bytes.size()) >= head_max_) return refuse("its header is too large");
        if (end == std::string_view::npos) {
            seen_ = bytes.size();
            return Parsed::more;
        }
        std::string_view line = bytes.substr(line_at_, end - line_at_);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) {
            if (line_at_ == 0) return refuse("its header is empty");
            conclude(end + 1);
            return Parsed::head;
        }
        if (!read_line(line, line_at_)) return Parsed::refused;
        line_at_ = seen_ = end + 1;
    }
}

/// False: refused.
bool CgiHead::read_line(std::string_view line, std::size_t at) {
    const std::size_t colon = line.find(':');
    const auto wrong = [this](std::string_view why) {
        complaint_ = why;
        return false;
    };
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return wrong(cgi_malformed);
    const std::string_view value = trim(line.substr(colon + 1));
    if (skip_text(value.data(), value.data() + value.size()) != value.data() + value.size())
        return wrong(cgi_malformed);
    Field field;
    field.name = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(colon)};
    field.value = {static_cast<std::uint32_t>(at + static_cast<std::size_t>(value.data() - line.data())),
                   static_cast<std::uint32_t>(value.size())};
    field.known = known_field(line.substr(0, colon));
    return note(field, value);
}

/// Keeps a field, or acts on it. False: refused.
bool CgiHead::note(const Field& field, std::string_view value) {
    const auto wrong = [this](std::string_view why) {
        complaint_ = why;
        return false;
    };
    if (equals_ignore_case(head_->view(field.name), "status"))
        return read_status(value) || wrong("its status is none");
    switch (field.known) {
        case Known::content_length: {
            constexpr std::size_t digits_max = 18;  // of a number that fits in any case
            if (has_length_) return wrong("its framing is ambiguous");
            if (value.empty() || value.size() > digits_max ||
                !std::all_of(value.begin(), value.end(), is_decimal))
                return wrong("its length is none");
            has_length_ = true;
            for (const char c : value)
                content_length_ = content_length_ * 10 + static_cast<std::uint64_t>(c - '0');
            break;
        }
        case Known::location:
            if (head_->has(Known::location)) return wrong("it leads to two places");
            break;
        case Known::transfer_encoding: return true;
        default: break;
    }
    return head_->add(field) || wrong("its header has too many fields");
}

/// "404" or "404 Not Found", once. An interim response is not for a program to send.
bool CgiHead::read_status(std::string_view value) noexcept {
    if (head_->status != 0 || value.size() < 3 || !std::all_of(value.begin(), value.begin() + 3, is_decimal))
        return false;
    if (value.size() > 3 && value[3] != ' ') return false;
    head_->status = static_cast<Status>((value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0'));
    return head_->status >= 200 && head_->status <= 599;
}

void CgiHead::conclude(std::size_t size) noexcept {
    ResponseHead& head = *head_;
    head.head_size = static_cast<std::uint32_t>(size);
    if (head.status == 0) head.status = head.has(Known::location) ? 302 : 200;
    if (bodiless_ || head.status == 204 || head.status == 304) {
        framing_ = Framing::none;
    } else if (has_length_) {
        framing_ = content_length_ > 0 ? Framing::length : Framing::none;
    } else {
        framing_ = Framing::until_end;
    }
}

}  // namespace worker::http
