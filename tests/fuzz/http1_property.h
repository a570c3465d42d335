// tests/fuzz/http1_property.h: what holds for HTTP/1 requests, whatever the bytes and however they arrive.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/property.h"
#include "worker/http/parser.h"

namespace fuzz {

/// What a connection's bytes were taken for.
struct Heard {
    std::vector<std::string> requests;  ///< request line, fields, size of the body
    worker::http::Status refusal = 0;   ///< 0: none
    bool operator==(const Heard&) const = default;
};

inline std::string describe(const worker::http::Request& request, const worker::http::Parser& parser) {
    std::string text(request.method());
    text.append(" ").append(request.raw_target()).append("\n");
    for (const auto& field : request.fields)
        text.append(request.view(field.name)).append("=").append(request.view(field.value)).append("\n");
    return text + std::to_string(parser.body_bytes()) + (parser.keep_alive() ? " keeps" : " ends");
}

/// Of a head that was taken: every line ends with CR LF, has neither inside, and none is folded.
inline void require_clean_lines(std::string_view head) {
    while (!head.empty()) {
        const std::size_t end = head.find('\n');
        require(end != head.npos && end > 0 && head.find('\r') == end - 1 && head.find('\0') > end);
        require(head[0] != ' ' && head[0] != '\t');
        head.remove_prefix(end + 1);
    }
}

/// Reads `bytes` as a connection would that gets them `step` at a time.
inline Heard listen(std::string_view bytes, std::size_t step) {
    using worker::http::Parsed;
    Heard heard;
    worker::http::Request request;
    worker::http::Parser parser;
    std::vector<char> pending;  // what came and was not taken; moves, as it does between turns
    bool in_body = false;
    const auto begin = [&] {
        request.clear();
        parser.reset(request, 4096, 512);
        in_body = false;
    };
    begin();
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        const std::string_view piece = bytes.substr(at, step);
        std::vector<char> moved(pending);
        moved.insert(moved.end(), piece.begin(), piece.end());
        pending.swap(moved);
        for (bool going = !pending.empty(); going;) {
            std::size_t taken = 0;
            const Parsed parsed = in_body ? parser.body(pending, taken) : parser.head(pending);
            if (!in_body && parsed != Parsed::more) taken = request.head_size;
            require(taken <= pending.size());
            if (parsed == Parsed::refused) {
                heard.refusal = parser.refusal();
                require(heard.refusal >= 400 && heard.refusal < 600);
                return heard;
            }
            if (!in_body && parsed != Parsed::more) {
                require(taken > 0);
                require_clean_lines({request.head, request.head_size});
                request.keep();
            }
            pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(taken));
            if (parsed == Parsed::head) in_body = true;
            if (parsed == Parsed::complete) {
                heard.requests.push_back(describe(request, parser));
                begin();
            }
            going = parsed != Parsed::more && !pending.empty();
        }
    }
    return heard;
}

/// However the bytes are cut, they are the same requests.
inline void check_http1(std::string_view bytes) {
    const Heard whole = listen(bytes, std::max<std::size_t>(bytes.size(), 1));
    for (const std::size_t step : {1u, 2u, 3u, 7u}) {
        const Heard pieces = listen(bytes, step);
        require(pieces.requests == whole.requests);
        // A limit may be noticed before or after a mistake behind it; that there was one must not differ.
        require((pieces.refusal == 0) == (whole.refusal == 0));
    }
}

}  // namespace fuzz
