#include "worker/http/plain_head.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "worker/http/host.h"

namespace worker::http {
namespace {

constexpr std::string_view version = " HTTP/1.1\r\n";
constexpr std::string_view line_end = "\r\n";

/// Visible ASCII, but for the number sign: a target that is sent has no fragment.
constexpr bool stands_in_target(char c) noexcept { return c > 0x20 && c < 0x7f && c != '#'; }

/// How many of the first bytes at `at` are visible ASCII or spaces: stops at the first that is not.
const char* skip_text(const char* at, const char* end) noexcept {
    constexpr std::uint64_t each = 0x0101010101010101u;
    constexpr std::uint64_t high = each * 0x80;
    for (; end - at >= 8; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof word);
        // The high bit of a byte is set where it is below 0x20, is 0x7f, or has that bit itself; a borrow or
        // carry spoils only bytes behind the first of these.
        const std::uint64_t odd = ((word - each * 0x20) | (word + each) | word) & high;
        if (odd == 0) continue;
        if constexpr (std::endian::native == std::endian::little) return at + (std::countr_zero(odd) >> 3);
        break;
    }
    while (at < end && *at >= 0x20 && *at < 0x7f) ++at;
    return at;
}

class Reader {
 public:
    Reader(std::string_view bytes, Request& request) noexcept
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
        const char* const name = at_;
        while (at_ < end_ && is_token_byte(*at_)) ++at_;
        if (at_ == name || at_ == end_ || *at_ != ':') return false;
        field.name = span(name, at_);
        do ++at_;
        while (at_ < end_ && (*at_ == ' ' || *at_ == '\t'));
        const char* const value = at_;
        at_ = skip_text(at_, end_);
        const char* last = at_;
        while (last > value && last[-1] == ' ') --last;
        field.value = span(value, last);
        field.known = known_field({name, field.name.size});
        return takes(line_end) && means_nothing_odd(field) && request_.add(field);
    }

    [[nodiscard]] bool means_nothing_odd(const Field& field) noexcept {
        switch (field.known) {
            case Known::host: ++hosts_; return true;
            case Known::connection:
                return connection(std::string_view(begin_ + field.value.at, field.value.size));
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
    [[nodiscard]] bool connection(std::string_view value) noexcept {
        if (equals_ignore_case(value, "keep-alive")) return true;
        closes_ = true;
        return equals_ignore_case(value, "close");
    }

    const char* const begin_;
    const char* at_;
    const char* const end_;
    Request& request_;
    unsigned hosts_ = 0;
    bool closes_ = false;
};

}  // namespace

PlainHead read_plain_head(std::string_view bytes, Request& request) noexcept {
    request.head = bytes.data();
    const PlainHead found = Reader(bytes, request).read();
    if (found.size == 0) request.clear();
    return found;
}

}  // namespace worker::http
