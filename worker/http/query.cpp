#include "worker/http/query.h"

#include <algorithm>

namespace worker::http {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                            hex_digit(text[i + 2]) >= 0;
        if (escape) {
            out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

}  // namespace

std::optional<std::string> Query::value(std::string_view name) const {
    for (std::size_t begin = 0; begin < text_.size();) {
        const auto end = std::min(text_.find('&', begin), text_.size());
        const auto equals = std::min(text_.find('=', begin), end);
        if (decode(text_.substr(begin, equals - begin)) == name)
            return equals < end ? decode(text_.substr(equals + 1, end - equals - 1)) : std::string();
        begin = end + 1;
    }
    return std::nullopt;
}

}  // namespace worker::http
