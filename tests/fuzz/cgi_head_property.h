// tests/fuzz/cgi_head_property.h: what holds for heads of CGI programs, whatever the bytes and however they
// come.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "tests/fuzz/property.h"
#include "worker/http/cgi_head.h"

namespace fuzz {

/// What a head came to: "404 Name=value Name=value 12".
inline std::string describe_cgi(std::string_view bytes, std::size_t step) {
    using namespace worker::http;
    ResponseHead head;
    CgiHead reader;
    reader.reset(head, false, 512);
    std::string moved;  // where the bytes are, at each call elsewhere
    Parsed parsed = Parsed::more;
    for (std::size_t size = std::min(step, bytes.size()); parsed == Parsed::more;) {
        moved = std::string(bytes.substr(0, size));
        parsed = reader.head(moved);
        if (size == bytes.size()) break;
        size = std::min(size + step, bytes.size());
    }
    if (parsed == Parsed::more) return "more";
    if (parsed == Parsed::refused) {
        require(!reader.complaint().empty());
        return "refused";
    }
    require(parsed == Parsed::head && head.head_size <= 512 && head.head_size <= bytes.size());
    require(head.status >= 200 && head.status <= 599);
    require(!head.has(Known::transfer_encoding) && head.count(Known::content_length) <= 1);
    std::string text = std::to_string(head.status);
    for (const Field& field : head.fields) {
        std::string line;
        head.append_line(line, field);
        // One line, whatever the program wrote.
        require(line.find_first_of("\r\n") == line.size() - 2 && line.ends_with("\r\n"));
        require(line.find('\0') == std::string::npos && is_token(head.view(field.name)));
        text.append(" ").append(line);
    }
    return text + std::to_string(head.head_size) + " " + std::to_string(reader.content_length());
}

/// However the bytes are cut, they are the same head; and its lines are lines.
inline void check_cgi_head(std::string_view bytes) {
    const std::string whole = describe_cgi(bytes, std::max<std::size_t>(bytes.size(), 1));
    for (const std::size_t step : {1u, 2u, 5u}) require(describe_cgi(bytes, step) == whole);
}

}  // namespace fuzz
