#include "master/lab/answer.h"

#include <algorithm>
#include <charconv>

namespace master::lab {
namespace {

constexpr std::size_t head_bytes_max = 64 * 1024;
constexpr std::string_view end_of_head = "\r\n\r\n";

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

template <class Number>
std::optional<Number> number_at(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    Number number{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    (void)end;
    return failure == std::errc() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<Answer::Whole> Answer::take(std::string_view bytes) {
    if (!body_left_) {
        head_.append(bytes);
        const auto end = head_.find(end_of_head);
        if (end == std::string::npos)
            return head_.size() > head_bytes_max ? std::optional(Whole{}) : std::nullopt;
        const std::string head = lower(std::string_view(head_).substr(0, end));
        const auto length_at = head.find("\r\ncontent-length:");
        const auto status =
            head.starts_with("http/1.1 ") ? number_at<int>(std::string_view(head).substr(9)) : std::nullopt;
        const auto length = length_at == std::string::npos
                                ? std::nullopt
                                : number_at<std::uint64_t>(std::string_view(head).substr(length_at + 17));
        if (!status || !length) return Whole{};
        whole_ = {*status, head.find("\r\nconnection: close") != std::string::npos};
        const std::uint64_t got = head_.size() - end - end_of_head.size();
        if (got > *length) return Whole{};  // more than was asked for
        body_left_ = *length - got;
    } else {
        if (bytes.size() > *body_left_) return Whole{};
        *body_left_ -= bytes.size();
    }
    if (*body_left_ > 0) return std::nullopt;
    const Whole whole = whole_;
    clear();
    return whole;
}

}  // namespace master::lab
