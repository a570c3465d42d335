// conf/text_variables.h: the variables of `respond` and `redirect`, and how such a text is taken apart.
// Here and not in worker/, so that `reeve -t` refuses exactly what a worker could not fill in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace conf {

/// Every variable; its value is the index of its name in `text_variables`.
enum class TextVariable : std::uint8_t {
    args,
    connection,
    connection_requests,
    host,
    is_args,
    msec,
    path,
    pid,
    remote_addr,
    remote_port,
    request_method,
    request_uri,
    scheme,
    server_name,
    uri,
    version,
    worker,
};

constexpr std::array<std::string_view, 17> text_variables{
    "args",
    "connection",
    "connection_requests",
    "host",
    "is_args",
    "msec",
    "path",
    "pid",
    "remote_addr",
    "remote_port",
    "request_method",
    "request_uri",
    "scheme",
    "server_name",
    "uri",
    "version",
    "worker",
};
static_assert(text_variables[static_cast<std::size_t>(TextVariable::worker)] == "worker");

/// A variable's value, then text as it stands.
struct TextPiece {
    TextVariable variable;
    std::string text;
};

/// Text, then pieces.
struct TextTemplate {
    std::string text;
    std::vector<TextPiece> pieces;
};

/// Takes "$name", "${name}" and "$$" (a dollar sign) out of a text. Fails on an unknown name and a lone "$".
inline tl::expected<TextTemplate, std::string> split_text(std::string_view text) {
    const auto in_name = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    TextTemplate split;
    for (std::size_t at = 0; at < text.size();) {
        const bool dollar = text.substr(at, 2) == "$$";
        if (text[at] != '$' || dollar) {
            (split.pieces.empty() ? split.text : split.pieces.back().text) += text[at];
            at += dollar ? 2 : 1;
            continue;
        }
        const bool braced = text.substr(at, 2) == "${";
        const std::size_t begin = at + (braced ? 2 : 1);
        std::size_t end = begin;
        while (end < text.size() && in_name(text[end])) ++end;
        const std::string_view name = text.substr(begin, end - begin);
        if (braced && (end == text.size() || text[end] != '}'))
            return tl::make_unexpected("\"${\" without \"}\"");
        std::size_t index = 0;
        while (index < text_variables.size() && text_variables[index] != name) ++index;
        if (index == text_variables.size())
            return tl::make_unexpected("unknown variable \"$" + std::string(name) +
                                       "\"; write \"$$\" for a dollar sign");
        split.pieces.push_back({static_cast<TextVariable>(index), {}});
        at = end + (braced ? 1 : 0);
    }
    return split;
}

}  // namespace conf
