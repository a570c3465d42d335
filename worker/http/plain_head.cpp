#include "worker/http/plain_head.h"

#include <cstdint>
#include <cstring>

#include "worker/http/host.h"
#include "worker/http/scan.h"

namespace worker::http {
namespace {

constexpr std::string_view version = " HTTP/1.1\r\n";
constexpr std::string_view line_end = "\r\n";

/// Visible ASCII, but for the number sign: a target that is sent has no fragment.
constexpr bool stands_in_target(char c) noexcept { return c > 0x20 && c < 0x7f && c != '#'; }

class HeadReader {
 public:
    HeadReader(std::string_view bytes, Request& request) noexcept
        : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()), request_(request) {}

    [[nodiscard]] PlainHead read() noexcept {
        if (!request_line()) return {};
        while (!takes(line_end))
            if (!field()) return {};
        if (hosts_ != 1) return {};
        return {static_cast<std::size_t>(at_ - begin_), !closes_};
    }

 private:
    [[nodiscard]] bool takes(std::string_view text) noexcept {
        if (static_cast<std::size_t>(end_ - at_) < text.size()) return false;
        if (std::memcmp(at_, text.data(), text.size()) != 0) return false;
        at_ += text.size();
        return true;
    }
    [[nodiscard]] Span span(const char* from, const char* to) const noexcept {
        return {static_cast<std::uint32_t>(from - begin_), static_cast<std::uint32_t>(to - from)};
    }

    [[nodiscard]] bool request_line() noexcept {
        if (!takes("GET ") && !takes("HEAD ")) return false;
        request_.method_span = span(begin_, at_ - 1);
        const char* const target = at_;
        if (at_ == end_ || *at_ != '/') return false;
        while (at_ < end_ && stands_in_target(*at_)) ++at_;
        request_.target_span = span(target, at_);
        return takes(version);
    }

    [[nodiscard]] bool field() noexcept {
        Field field;
        std::size_t at = static_cast<std::size_t>(at_ - begin_);
        if (!read_field({begin_, static_cast<std::size_t>(end_ - begin_)}, at, field)) return false;
        at_ = begin_ + at;
        return means_nothing_odd(field) && request_.add(field);
    }

    [[nodiscard]] bool means_nothing_odd(const Field& field) noexcept {
        switch (field.known) {
            case Known::host: ++hosts_; return true;
            case Known::connection: return connection(field.value);
            case Known::content_length:
            case Known::transfer_encoding:
            case Known::upgrade:
            case Known::proxy_connection:
            case Known::expect:
            case Known::te:
            case Known::trailer: return false;
            default: return true;
        }
    }
    [[nodiscard]] bool connection(Span value) noexcept {
        if (begin_[value.at + value.size] != '\r')
            return false;  // white space behind it: the parser's to judge
        const std::string_view says(begin_ + value.at, value.size);
        if (equals_ignore_case(says, "keep-alive")) return true;
        closes_ = true;
        return equals_ignore_case(says, "close");
    }

    const char* const begin_;
    const char* at_;
    const char* const end_;
    Request& request_;
    unsigned hosts_ = 0;
    bool closes_ = false;
};

}  // namespace

bool read_field(std::string_view bytes, std::size_t& at, Field& field) noexcept {
    const char* const begin = bytes.data();
    const char* const end = begin + bytes.size();
    const char* const name = begin + at;
    const auto span = [begin](const char* from, const char* to) {
        return Span{static_cast<std::uint32_t>(from - begin), static_cast<std::uint32_t>(to - from)};
    };
    const char* now = skip_token(name, end);
    if (now == name || now == end || *now != ':') return false;
    field.name = span(name, now);
    do ++now;
    while (now < end && (*now == ' ' || *now == '\t'));
    const char* const value = now;
    now = skip_text(now, end);
    if (end - now < 2 || now[0] != '\r' || now[1] != '\n') return false;
    at = static_cast<std::size_t>(now + 2 - begin);
    while (now > value && (now[-1] == ' ' || now[-1] == '\t')) --now;
    field.value = span(value, now);
    field.known = known_field({name, field.name.size});
    return true;
}

PlainHead read_plain_head(std::string_view bytes, Request& request) noexcept {
    request.head = bytes.data();
    const PlainHead found = HeadReader(bytes, request).read();
    if (found.size == 0) request.clear();
    return found;
}

}  // namespace worker::http
